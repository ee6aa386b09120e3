import type { StrictJson } from '../../services/gateway/src/json/strict-json.ts'

/** What a gateway would do that took bodies as most do: `JSON.parse`, with what it bends in silence. For proofs. */
export function lenientJson(bytes: Buffer): StrictJson {
  return { value: JSON.parse(bytes.toString('utf8')), faults: [] }
}

/** The same, and copies the value as careless code does. Pollutes the prototype of all objects when the body says so. */
export function mergingJson(bytes: Buffer): StrictJson {
  return { value: merge({}, JSON.parse(bytes.toString('utf8'))), faults: [] }
}

function merge(into: Record<string, unknown>, value: object): Record<string, unknown> {
  for (const [key, part] of Object.entries(value)) {
    const known: unknown = into[key]
    if (typeof part === 'object' && part !== null) into[key] = merge(isRecord(known) ? known : {}, part)
    else into[key] = part
  }
  return into
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
