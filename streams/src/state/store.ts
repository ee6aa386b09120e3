import { StreamsError } from '../core/errors.ts'

/**
 * Rows of bytes on a medium that survives the process (RocksDB) or does not (memory). One instance per task and store; no concurrency
 * but reads during a write. Keys order as unsigned bytes.
 *
 * A query may hold it for longer than its task does: once it is closed, `multiGet`, `range` and `lastKey` throw `STORE_NOT_READY`, as what is found
 * there may be of its next owner by then.
 */
export interface ByteStore {
  /** The row at once, for stores whose rows are in memory; stores without it are read with `multiGet` only. */
  peek?(key: Buffer): Buffer | null
  /** Values in the order of `keys`; null where there is no row. The caller owns the buffers. */
  multiGet(keys: readonly Buffer[]): Promise<readonly (Buffer | null)[]>
  /** Rows with `from <= key < to` in key order, at most `limit`. Page on with the last key and a zero byte behind it. */
  range(from: Buffer, to: Buffer, limit: number): Promise<readonly Row[]>
  /** The largest key; undefined when there is no row. */
  lastKey(): Promise<Buffer | undefined>
  /** The changelog offset up to which (exclusive) the rows are complete; undefined when nothing was ever written. */
  changelogOffset(): Promise<number | undefined>
  /**
   * Writes all changes, in order, and the changelog offset, atomically: after a crash either all are there or none. Resolved means durable against
   * the death of the process. The changes are read, and their bytes copied, before it returns.
   */
  write(changes: Changes, changelogOffset: number): Promise<void>
  /** Removes every row and the offset. */
  wipe(): Promise<void>
  close(): Promise<void>
}

/** That a store was closed: what refuses the reads of those who still hold it. */
export function closedStore(store?: string): StreamsError {
  const which = store === undefined ? 'the store' : `store "${store}"`
  return new StreamsError(
    'STORE_NOT_READY',
    `${which} was closed while it was read, as its partition moves; try again`,
    store === undefined ? {} : { store },
  )
}

/** What queries may do with a store's rows. */
export type CommittedRows = Pick<ByteStore, 'multiGet' | 'range' | 'lastKey'>

/** How large a store is, as far as that can be told without reading it: rows that were written twice or deleted may count. */
export interface StoreEstimate {
  readonly rows: number
  readonly bytes: number
}

/** One row of a store. */
export interface Row {
  readonly key: Buffer
  readonly value: Buffer
}

/** A row to be written, or deleted when `value` is null. */
export interface Change {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** Changes in order. An array is one; others make no object for each, and hand the same one on again and again: it is valid during its visit. */
export interface Changes {
  readonly length: number
  forEach(visit: (change: Change) => void): void
}

/**
 * Opens the stores of this process. Owns the place where they are kept, and its lock, from the start to `close`.
 * Every method of the stores it opens throws `STORE_FAILED`, or `STORE_CORRUPT` when what is stored cannot be read: then close all stores,
 * `discard`, and restore from the changelogs.
 */
export interface ByteStoreProvider {
  /** The same for every run on this place, and no other place's: as nobody else holds the lock, transactional ids can be made of it. */
  readonly processId: string
  /** Throws `INVALID_STATE` when the store is open already. */
  open(store: string, partition: number): Promise<ByteStore>
  /** Partitions of `store` that have rows here, from an earlier run. */
  partitionsOnDisk(store: string): Promise<readonly number[]>
  /** How much of `store` is here, all its partitions together. */
  estimate(store: string): Promise<StoreEstimate>
  /** Puts everything stored aside and begins with empty stores. All stores must be closed. The process id and the lock stay. */
  discard(): Promise<void>
  /** Closes the stores that are open, then gives up the lock. Idempotent. */
  close(): Promise<void>
}

/**
 * The typed store that processors use. All reads and writes are synchronous and see this task's uncommitted changes; a row must have been
 * loaded before it is read: a processor names the rows it will read in `Processor.reads`, and the task loads them, many at a time.
 */
export interface TaskStore {
  readonly name: string
  /** The rows as of the last commit, without this task's changes since: for queries, which may read them at any time until the store is closed. */
  readonly committed: CommittedRows
  /** True when `get` may be called for this key: it is cached, changed, or known to be absent. Always true for a memory store. */
  has(key: Buffer): boolean
  /** Asks for a row; `load` fetches all that were asked for. Here as in `put` the bytes are copied: the caller may use the buffers again. */
  want(key: Buffer): void
  /** Called once before the first row is asked for, too: a window store learns how new its rows are, and need not look for newer ones. */
  load(): Promise<void>
  /** The row, or null. Throws `INVALID_STATE` when it was not loaded: a bug of the processor. */
  get(key: Buffer): Buffer | null
  /**
   * Changes a row; kept in memory until the commit. `timestamp` goes to the changelog record. In a timestamped store (`StoreSpec.timestamped`)
   * values begin with their time (state/timestamped-value.ts), in `get`, `put` and `range` alike; the changelog carries the plain value.
   */
  put(key: Buffer, value: Buffer | null, timestamp: number): void
  /** Committed rows overlaid with this task's changes, in key order; `to` is exclusive. Rows may be changed on the way: a row that is not yet reached shows its last change, a key that is new is left out. */
  range(from: Buffer, to: Buffer): AsyncIterable<Row>
  /** Deletes without a changelog record: for rows whose time is over, which a restore skips by the same rule. */
  expire(key: Buffer): void
  /** Visits the rows that were put since the last drain, in the order in which they first were; the row is valid during its visit, in which the store may not be changed. */
  forEachChanged(visit: (row: ChangedRow) => void): void
  /** Commit, step 1: the changes since the last commit, one per key, as changelog records' content; empty when nothing changed. To be read before the store is changed again. */
  drain(): ChangelogEntries
  /**
   * Commit, step 4: writes what `drain` gave, and the expired rows, with the changelog offset (exclusive: the last record's offset + 1), in one
   * batch. Without an offset (nothing went to the changelog) the last one stays. Rows may be read and changed meanwhile.
   */
  commit(changelogOffset?: number): Promise<void>
  /** Forgets the changes since the last commit. */
  rollback(): void
  /** The bound for dirty rows was reached: the thread should commit now. */
  readonly full: boolean
  readonly stats: TaskStoreStats
  close(): Promise<void>
}

/** What a task's store holds in memory, and how often that was enough, since it was opened. */
export interface TaskStoreStats {
  /** Rows in memory, changed and cached ones, with what they cost besides their bytes. */
  readonly rows: number
  readonly bytes: number
  /** Rows that processors asked for, and how many of them had to be fetched from the committed rows first. */
  readonly reads: number
  readonly loads: number
}

/** A row as it was put last; null when it is deleted. */
export interface ChangedRow {
  readonly key: Buffer
  readonly value: Buffer | null
  readonly timestamp: number
}

/** Records for the changelog, in order; an entry is valid during its visit. */
export interface ChangelogEntries {
  readonly length: number
  forEach(visit: (entry: ChangelogEntry) => void): void
}

/** One record for the changelog: the key as Kafka Streams writes it, the plain value, the record's time. */
export interface ChangelogEntry {
  readonly key: Buffer
  readonly value: Buffer | null
  readonly timestamp: number
}
