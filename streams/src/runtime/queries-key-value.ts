import { StreamsError } from '../core/errors.ts'
import type { StoreLocator } from './queries-locate.ts'
import { behind, type Page, type PageOptions } from './queries-page.ts'
import { readPage } from './queries-read.ts'
import { RowDecoder } from './queries-rows.ts'

/** A row of a key-value store, as of its last commit. */
export interface KeyValueRow<K, V> {
  readonly key: K
  readonly value: V
  /** The largest timestamp that went into the value; undefined where the store does not keep it. */
  readonly timestamp: number | undefined
}

/** Keys from `from` through `to`, in the order of their bytes. */
export interface KeyRange<K> extends PageOptions {
  readonly from?: K
  readonly to?: K
}

/**
 * Reads a key-value store while it is written. What it shows is committed: never a change that a transaction may still take back. A store's
 * rows of one commit appear together.
 */
export class ReadOnlyKeyValueStore<K, V> {
  readonly kind = 'key-value'
  readonly name: string
  readonly #locator: StoreLocator
  readonly #decoder: RowDecoder<K, V>

  constructor(locator: StoreLocator) {
    this.name = locator.spec.name
    this.#locator = locator
    this.#decoder = new RowDecoder<K, V>(locator.spec)
  }

  /** The row of a key; undefined when there is none. Throws `STORE_ELSEWHERE`, `STORE_NOT_READY`, `CLOSED`. */
  async get(key: K, options: Pick<PageOptions, 'staleOk' | 'partition'> = {}): Promise<KeyValueRow<K, V> | undefined> {
    const bytes = this.#decoder.keyBytes(key)
    const { rows } = this.#locator.locate(options.partition ?? this.#locator.partitionOf(bytes), options)
    const [row] = await rows.multiGet([bytes])
    return row === null || row === undefined ? undefined : { key, ...this.#decoder.value(row) }
  }

  /** The rows of a range of keys, of every partition that is here, one after the other. Throws as `get` does, and `INVALID_QUERY`. */
  async range(range: KeyRange<K> = {}): Promise<Page<KeyValueRow<K, V>>> {
    const from = range.from === undefined ? noBytes : this.#decoder.keyBytes(range.from)
    const to = range.to === undefined ? lastKey : behind(this.#decoder.keyBytes(range.to))
    if (Buffer.compare(from, to) >= 0)
      throw new StreamsError('INVALID_QUERY', 'from must not lie behind to, in the order of their bytes')
    return readPage(this.#locator, range, {
      boundsOf: async () => ({ from, to }),
      decode: ({ key, value }) => ({ key: this.#decoder.key(key), ...this.#decoder.value(value) }),
    })
  }

  /** All rows, as `range` without bounds. */
  all(options: PageOptions = {}): Promise<Page<KeyValueRow<K, V>>> {
    return this.range(options)
  }
}

const noBytes = Buffer.alloc(0)

/** Behind every key that anybody has: a store's keys are record keys, and begin with text or a number. */
const lastKey = Buffer.alloc(1_024, 0xff)
