import { isJsonObject, objectAt, optionalNumberAt, optionalTextAt, textAt } from './json.ts'

/** The state of one server the gateway depends on. */
export interface HealthCheck {
  readonly name: string
  readonly status: string
  readonly latencyMs: number | null
}

/** The answer of `GET /api/v1/health`. */
export interface Health {
  readonly status: string
  readonly checks: readonly HealthCheck[]
  readonly version: string | null
}

/** Reads the answer; throws a `bad_answer` that names the faulty member. */
export function parseHealth(value: unknown): Health {
  const object = objectAt(value, 'health')
  const checks = isJsonObject(object.checks) ? object.checks : {}
  return {
    status: textAt(object, 'status'),
    checks: Object.entries(checks).map(([name, check]) => parseCheck(name, check)),
    version: optionalTextAt(object, 'version'),
  }
}

function parseCheck(name: string, value: unknown): HealthCheck {
  const check = objectAt(value, `checks.${name}`)
  return { name, status: textAt(check, 'status'), latencyMs: optionalNumberAt(check, 'latency_ms') }
}
