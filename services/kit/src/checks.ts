import { checkTimeoutMsDefault } from './limits.ts'

/** One thing that a service needs. */
export interface Check {
  readonly name: string
  /** A required check that fails makes the service `down`; another one only `degraded`. Default true. */
  readonly required?: boolean
  /** Resolves when the dependency is well, throws the reason when it is not. `signal` aborts at the timeout. */
  run(signal: AbortSignal): Promise<void> | void
}

export const healthStates = ['ok', 'degraded', 'down'] as const
/** The state of a service, or of one of its dependencies. */
export type HealthState = (typeof healthStates)[number]

/** The outcome of one check. */
export interface CheckResult {
  readonly status: 'ok' | 'down'
  readonly latency_ms: number
  readonly error?: string
}

/** The outcome of all checks, as `/readyz` and health routes answer it. */
export interface HealthReport {
  readonly status: HealthState
  readonly checks: Readonly<Record<string, CheckResult>>
}

/** Runs all checks side by side, each for at most `timeoutMs`. Never throws: a failure is part of the report. */
export async function runChecks(
  checks: readonly Check[],
  timeoutMs: number = checkTimeoutMsDefault,
): Promise<HealthReport> {
  const results = await Promise.all(checks.map((check) => runOne(check, timeoutMs)))
  const report: Record<string, CheckResult> = {}
  const failed: Check[] = []
  for (const [index, check] of checks.entries()) {
    const result = results[index]
    if (result === undefined) continue
    report[check.name] = result
    if (result.status === 'down') failed.push(check)
  }
  return { status: overall(failed), checks: report }
}

function overall(failed: readonly Check[]): HealthState {
  if (failed.length === 0) return 'ok'
  return failed.some((check) => check.required !== false) ? 'down' : 'degraded'
}

async function runOne(check: Check, timeoutMs: number): Promise<CheckResult> {
  const startedMs = performance.now()
  const abort = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      abort.abort()
      reject(new Error(`no answer within ${timeoutMs} ms`))
    }, timeoutMs)
  })
  try {
    await Promise.race([Promise.resolve().then(() => check.run(abort.signal)), expired])
    return { status: 'ok', latency_ms: elapsedMs(startedMs) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { status: 'down', latency_ms: elapsedMs(startedMs), error: reason }
  } finally {
    clearTimeout(timer)
  }
}

function elapsedMs(startedMs: number): number {
  return Math.round((performance.now() - startedMs) * 10) / 10
}
