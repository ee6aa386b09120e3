import { StreamsError } from '../core/errors.ts'
import { bytes, type Serde } from '../core/serde.ts'
import { timestampOfRow, valueOfRow } from '../state/timestamped-value.ts'
import type { StoreSpec } from '../topology/topology.ts'

/** Keys and values of a store's rows, from bytes. Without a reader in the topology, both are bytes. */
export class RowDecoder<K, V> {
  readonly #spec: StoreSpec
  readonly #keySerde: Serde<K>
  readonly #resultOf: (value: Buffer) => V

  /** The types are the caller's word: a topology does not keep those of its serdes. */
  constructor(spec: StoreSpec) {
    const { keySerde, resultOf } = spec.rows ?? { keySerde: bytes, resultOf: (value: Buffer) => Buffer.from(value) }
    this.#spec = spec
    this.#keySerde = keySerde as Serde<K>
    this.#resultOf = resultOf as (value: Buffer) => V
  }

  /** Throws `INVALID_QUERY` when the key cannot be written. */
  keyBytes(key: K): Buffer {
    try {
      return this.#keySerde.write(key)
    } catch (cause) {
      throw this.#error('INVALID_QUERY', 'this key cannot be written', cause)
    }
  }

  /** Throws `DESERIALIZATION`. */
  key(bytes: Buffer): K {
    return this.#read('a key', () => this.#keySerde.read(bytes, 0, bytes.length))
  }

  /** The value, and the largest timestamp that went into it, where the store keeps it. Throws `DESERIALIZATION`. */
  value(row: Buffer): { readonly value: V; readonly timestamp: number | undefined } {
    const { timestamped } = this.#spec
    const value = this.#read('a value', () => this.#resultOf(timestamped ? valueOfRow(row) : row))
    return { value, timestamp: timestamped ? timestampOfRow(row) : undefined }
  }

  #read<T>(what: string, read: () => T): T {
    try {
      return read()
    } catch (cause) {
      throw this.#error('DESERIALIZATION', `${what} cannot be read`, cause)
    }
  }

  #error(code: 'INVALID_QUERY' | 'DESERIALIZATION', what: string, cause: unknown): StreamsError {
    const reason = cause instanceof Error ? cause.message : String(cause)
    return new StreamsError(code, `store "${this.#spec.name}": ${what}: ${reason}`, { store: this.#spec.name, cause })
  }
}
