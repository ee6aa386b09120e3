import { json, nullable, type Serde, utf8, type Windowed } from '@millrace/streams'
import type { Json } from './json.ts'

/** A key in a case's topology: text, or, behind windows, the window of such a key. */
export type CaseKey = string | Windowed<CaseKey>

/** Keys as stores and repartition topics have them: UTF-8. Only windowed tables have others, and bring their own serde. */
export const caseKey: Serde<CaseKey> = {
  read: utf8.read,
  write(key) {
    if (typeof key !== 'string') throw new TypeError('a windowed key is not grouped or stored as it is')
    return utf8.write(key)
  },
}

/** Values: JSON text, null being no bytes. */
export const caseValue: Serde<Json> = nullable(json<Json>())

/** The same where null cannot be. */
export const presentValue: Serde<NonNullable<Json>> = json<NonNullable<Json>>()

/** Keys as output topics have them: JSON text. */
export const outputKey: Serde<CaseKey> = {
  read() {
    throw new TypeError('output topics are read as JSON')
  },
  write: (key) => Buffer.from(JSON.stringify(plainKey(key))),
}

/** A key as expressions and expectations see it. */
export function plainKey(key: CaseKey | null): Json {
  if (key === null || typeof key === 'string') return key
  return { key: plainKey(key.key), start: key.startMs, end: key.endMs }
}
