import type { Serde } from '../core/serde.ts'

/** What tells a key's rows from others in a Map: text and numbers by themselves, anything else by its bytes. */
export function rowId<K>(key: K, serde: Serde<K>): string | number {
  return typeof key === 'string' || typeof key === 'number' ? key : serde.write(key).toString('latin1')
}
