import type RocksDB from 'rocksdb-native'
import { StreamsError } from '../core/errors.ts'
import { type ByteStore, type Changes, closedStore, type Row } from '../state/store.ts'
import { translateDatabaseError } from './database-error.ts'
import { decodeOffset, encodeOffset, keyOfRow, offsetKey, partitionBound, rowKey } from './row-layout.ts'
import type { WriteBatches } from './write-batches.ts'

const noBytes = Buffer.alloc(0)

/**
 * One store and partition: a range of its store's column family. Writes go through the write-ahead log, which the operating system holds
 * from the moment `write` resolves: the death of this process loses nothing. The loss of power may lose the last commits, of all stores
 * alike; the changelog offset in the same batch then says where to read on.
 */
export class RocksDbStore implements ByteStore {
  readonly #family: RocksDB
  readonly #batches: WriteBatches
  readonly #name: string
  readonly #partition: number
  readonly #offsetKey: Buffer
  readonly #onClose: () => void
  #closed = false

  constructor(options: {
    family: RocksDB
    batches: WriteBatches
    name: string
    partition: number
    onClose: () => void
  }) {
    this.#family = options.family
    this.#batches = options.batches
    this.#name = options.name
    this.#partition = options.partition
    this.#offsetKey = offsetKey(options.partition)
    this.#onClose = options.onClose
  }

  async multiGet(keys: readonly Buffer[]): Promise<readonly (Buffer | null)[]> {
    this.#requireOpen()
    const values = await this.#get(keys.map((key) => rowKey(this.#partition, key)))
    this.#requireOpen()
    return values
  }

  async range(from: Buffer, to: Buffer, limit: number): Promise<readonly Row[]> {
    this.#requireOpen()
    const rows: Row[] = []
    const bounds = { gte: rowKey(this.#partition, from), lt: rowKey(this.#partition, to) }
    if (limit <= 0 || Buffer.compare(bounds.gte, bounds.lt) >= 0) return rows
    try {
      // A capacity above the limit lets one read see the end, too.
      for await (const { key, value } of this.#family.iterator(bounds, { limit, capacity: limit + 1 })) {
        rows.push({ key: keyOfRow(key), value })
      }
    } catch (error) {
      throw this.#failed(error, 'a range could not be read')
    }
    this.#requireOpen()
    return rows
  }

  async lastKey(): Promise<Buffer | undefined> {
    this.#requireOpen()
    let last: Buffer | undefined
    const bounds = { gte: rowKey(this.#partition, noBytes), lt: partitionBound(this.#partition + 1) }
    const options = { limit: 1, capacity: 2, values: false, reverse: true }
    try {
      for await (const { key } of this.#family.iterator(bounds, options)) last = keyOfRow(key)
    } catch (error) {
      throw this.#failed(error, 'its last row could not be read')
    }
    this.#requireOpen()
    return last
  }

  async changelogOffset(): Promise<number | undefined> {
    const [bytes] = await this.#get([this.#offsetKey])
    if (bytes === null || bytes === undefined) return undefined
    const offset = decodeOffset(bytes)
    if (offset === undefined) {
      throw new StreamsError('STORE_CORRUPT', `store "${this.#name}": its changelog offset has ${bytes.length} bytes`, {
        store: this.#name,
      })
    }
    return offset
  }

  async write(changes: Changes, changelogOffset: number): Promise<void> {
    const also = { key: this.#offsetKey, value: encodeOffset(changelogOffset) }
    try {
      await this.#batches.write(this.#family, { partition: this.#partition, changes, also })
    } catch (error) {
      throw this.#failed(error, `${changes.length} changes could not be written`)
    }
  }

  async wipe(): Promise<void> {
    const batch = this.#family.write({ capacity: 1 })
    batch.tryDeleteRange(partitionBound(this.#partition), partitionBound(this.#partition + 1))
    try {
      await batch.flush()
    } catch (error) {
      throw this.#failed(error, 'it could not be wiped')
    } finally {
      batch.destroy()
    }
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#onClose()
    this.#closed = true
  }

  /** Asked before a read and after it: it takes place on another thread, at some time in between. */
  #requireOpen(): void {
    if (this.#closed) throw closedStore(this.#name)
  }

  async #get(keys: readonly Buffer[]): Promise<(Buffer | null)[]> {
    if (keys.length === 0) return []
    const batch = this.#readBatch(keys.length)
    try {
      const values = keys.map((key) => batch.get(key))
      const [, ...found] = await Promise.all([batch.flush(), ...values])
      return found
    } catch (error) {
      throw this.#failed(error, `${keys.length} rows could not be read`)
    } finally {
      batch.destroy()
    }
  }

  /** Queries may come while the database is being closed: then there is no batch to be had. */
  #readBatch(capacity: number): ReturnType<RocksDB['read']> {
    try {
      return this.#family.read({ capacity })
    } catch (error) {
      throw this.#failed(error, `${capacity} rows could not be read`)
    }
  }

  #failed(error: unknown, action: string): StreamsError {
    return translateDatabaseError(error, `store "${this.#name}", partition ${this.#partition}: ${action}`, this.#name)
  }
}
