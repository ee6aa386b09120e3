import { StreamsError } from '../core/errors.ts'
import { type MovedRows, RowList } from './row-list.ts'
import { type RowTable, rowMarks } from './row-table.ts'
import { RowTables } from './row-tables.ts'
import { ScratchBuffers } from './scratch-buffers.ts'
import type {
  ByteStore,
  ChangedRow,
  ChangelogEntries,
  Changes,
  CommittedRows,
  Row,
  TaskStore,
  TaskStoreStats,
} from './store.ts'
import { timestampBytes } from './timestamped-value.ts'
import { windowStartOfRow } from './window-key.ts'

/** How a task's store behaves. The bounds are read each time: who shares out memory may change them while the store is open. */
export interface CachedTaskStoreOptions {
  readonly name: string
  /** The committed rows; closed with this store. */
  readonly rows: ByteStore
  /** What `rows.changelogOffset()` said when the store was opened or restored; 0 when nothing was ever written. */
  readonly changelogOffset: number
  /** Values begin with their time, which the changelog records leave out. */
  readonly timestamped: boolean
  /** Rows belong to windows: their keys are those of `window-key.ts`, here and, in their other form, in the changelog. Default false. */
  readonly windowed?: boolean
  /** Committed rows that are kept in memory between commits, in bytes. Default 32 MiB. */
  readonly cachedBytesMax?: number | undefined
  /** Changed and loaded rows since the last commit, in bytes: above it the store is `full`, and the thread commits early. Default 64 MiB. */
  readonly dirtyBytesMax?: number | undefined
}

const cachedBytesMaxDefault = 32 * 1024 * 1024
const dirtyBytesMaxDefault = 64 * 1024 * 1024

/**
 * What a row costs, besides its bytes, between its change and the end of the commit: the decoded row, the records of changelog and results,
 * the database's copy.
 */
const dirtyOverheadBytes = 800

/** Of the bound that rows in memory may take, what is left when it was reached: there must be room to grow again. */
const keptShare = 0.6

/** Rows per page when a range goes to the committed rows. */
const rangePageRows = 512

const { changed, expired, draining, used, wanted } = rowMarks

/**
 * A store as processors use it: committed rows on a byte store, a bounded cache of them, and the changes since the last commit. Nothing
 * reaches the byte store before `commit`, so a crash or an aborted transaction leaves no trace there.
 *
 * Rows that were loaded since the last `drain` stay until the next one, whatever the cache's bound: a processor that asked for a row finds
 * it. They count towards `full` instead. Rows leave the memory in `drain`, the oldest windows first; within a table, those in use stay as
 * long as there is room. Between `drain` and `commit` rows may be read and changed: the commit writes what was drained.
 *
 * Rows of windows that start after `#knownAfterMs` are all in memory, as far as there are any: those windows are younger than anything that
 * the byte store held at the beginning, and nothing of them has left the memory since. What is not in memory of them does not exist, and need
 * not be looked for. In a stream that goes on in time that spares nearly all reads, each of which costs as much as all else of an event.
 */
export class CachedTaskStore implements TaskStore {
  readonly name: string
  readonly #rows: ByteStore
  readonly #timestamped: boolean
  readonly #windowed: boolean
  readonly #bounds: Pick<CachedTaskStoreOptions, 'cachedBytesMax' | 'dirtyBytesMax'>
  /** Rows in memory by their windows' start; those of other stores are under 0. */
  readonly #tables = new RowTables()
  /** See above. Infinite while it is not known, and for rows without windows. */
  #knownAfterMs = Number.POSITIVE_INFINITY
  #wanted = new RowList()
  #changes = new RowList()
  #draining = new RowList()
  /** Values that were drained and have changed again since, by table and row: the commit writes these. */
  #drained = new Map<RowTable, Map<number, Buffer | null>>()
  /** For visits; two, as a key and a value may be of the same length. */
  readonly #keys = new ScratchBuffers()
  readonly #values = new ScratchBuffers()
  #bytesSinceCommit = 0
  #changelogOffset: number
  #reads = 0
  #loads = 0
  #closed = false

  constructor(options: CachedTaskStoreOptions) {
    this.name = options.name
    this.#rows = options.rows
    this.#changelogOffset = options.changelogOffset
    this.#timestamped = options.timestamped
    this.#windowed = options.windowed ?? false
    this.#bounds = options
  }

  /** Rows that are in memory already need no cache. */
  get #cachedBytesMax(): number {
    return this.#rows.peek === undefined ? (this.#bounds.cachedBytesMax ?? cachedBytesMaxDefault) : 0
  }

  get committed(): CommittedRows {
    return this.#rows
  }

  get full(): boolean {
    return this.#bytesSinceCommit >= (this.#bounds.dirtyBytesMax ?? dirtyBytesMaxDefault)
  }

  get stats(): TaskStoreStats {
    let rows = 0
    for (const table of this.#tables.inOrder()) rows += table.size
    return { rows, bytes: this.#tables.bytes, reads: this.#reads, loads: this.#loads }
  }

  /** Bytes of rows in memory, changed and cached. */
  get memoryBytes(): number {
    return this.#tables.bytes
  }

  has(key: Buffer): boolean {
    if (this.#rows.peek !== undefined || this.#isKnown(key)) return true
    const table = this.#tableOf(key)
    const row = table?.find(key) ?? -1
    return table !== undefined && row >= 0 && (table.marksOf(row) & wanted) === 0
  }

  want(key: Buffer): void {
    if (this.#rows.peek !== undefined || this.#isKnown(key)) return
    const table = this.#tableFor(key)
    const { size } = table
    const row = table.add(key)
    if (row < size) return
    table.setMarks(row, wanted)
    this.#wanted.push(table, row)
  }

  async load(): Promise<void> {
    if (this.#windowed && this.#knownAfterMs === Number.POSITIVE_INFINITY) await this.#lookUpNewest()
    if (this.#wanted.size === 0) return
    const list = this.#wanted
    this.#wanted = new RowList()
    const keys: Buffer[] = []
    const asked = new RowList()
    list.forEach((table, row) => {
      // Those of the other windows are not in the byte store, as was not known when they were asked for.
      const key = table.keyOf(row)
      if (!isWanted(table, row) || this.#isKnown(key)) return
      keys.push(key)
      asked.push(table, row)
    })
    this.#loads += keys.length
    const values = keys.length === 0 ? [] : await this.#rows.multiGet(keys)
    asked.forEach((table, row, index) => {
      if (isWanted(table, row)) table.setValue(row, values[index] ?? null)
    })
    list.forEach((table, row) => {
      table.setMarks(row, table.marksOf(row) & ~wanted)
      this.#bytesSinceCommit += dirtyOverheadBytes + table.bytesOf(row)
    })
  }

  get(key: Buffer): Buffer | null {
    this.#reads++
    const table = this.#tableOf(key)
    const row = table?.find(key) ?? -1
    if (table !== undefined && row >= 0 && !isWanted(table, row)) {
      table.setMarks(row, table.marksOf(row) | used)
      return table.valueOf(row)
    }
    if (this.#rows.peek !== undefined) return this.#rows.peek(key)
    if (this.#isKnown(key)) return null
    throw new StreamsError(
      'INVALID_STATE',
      `store "${this.name}": a row was read that had not been loaded; name it in Processor.reads`,
      { store: this.name },
    )
  }

  put(key: Buffer, value: Buffer | null, timestamp: number): void {
    const table = this.#tableFor(key)
    table.setTimestamp(this.#change(table, key, { value, mark: changed }), timestamp)
  }

  expire(key: Buffer): void {
    this.#change(this.#tableFor(key), key, { value: null, mark: expired })
  }

  async *range(from: Buffer, to: Buffer): AsyncIterable<Row> {
    const overlay = this.#uncommittedWithin(from, to)
    let next = 0
    let pageFrom = from
    for (;;) {
      const page = await this.#rows.range(pageFrom, to, rangePageRows)
      for (const committed of page) {
        for (
          let key = overlay[next];
          key !== undefined && Buffer.compare(key, committed.key) < 0;
          key = overlay[++next]
        ) {
          const value = this.#inMemory(key)
          if (value !== undefined && value !== null) yield { key, value }
        }
        if (overlay[next]?.equals(committed.key) === true) next++
        const value = this.#inMemory(committed.key)
        if (value === undefined) yield committed
        else if (value !== null) yield { key: committed.key, value }
      }
      const last = page[page.length - 1]
      if (page.length < rangePageRows || last === undefined) break
      pageFrom = Buffer.concat([last.key, oneZeroByte])
    }
    for (let key = overlay[next]; key !== undefined; key = overlay[++next]) {
      const value = this.#inMemory(key)
      if (value !== undefined && value !== null) yield { key, value }
    }
  }

  forEachChanged(visit: (row: ChangedRow) => void): void {
    const seen = new VisitedRow()
    this.#changes.forEach((table, row) => {
      if ((table.marksOf(row) & changed) === 0) return
      seen.key = table.copyKey(row, this.#keys)
      seen.value = table.copyValue(row, this.#values)
      seen.timestamp = table.timestampOf(row)
      visit(seen)
    })
  }

  drain(): ChangelogEntries {
    const entries = new RowList()
    this.#changes.forEach((table, row) => {
      const marks = table.marksOf(row)
      if ((marks & draining) === 0) this.#draining.push(table, row)
      if ((marks & changed) !== 0) entries.push(table, row)
      table.setMarks(row, (marks & ~(changed | expired)) | draining)
    })
    this.#changes = new RowList()
    this.#drained = new Map()
    this.#bytesSinceCommit = 0
    this.#evict()
    return this.#changelogEntries(entries)
  }

  /** Made one by one when they are read. A table that leaves the memory stays as it is for whoever still reads it. */
  #changelogEntries(rows: RowList): ChangelogEntries {
    const skipped = this.#timestamped ? timestampBytes : 0
    return {
      length: rows.size,
      forEach: (visit) => {
        const entry = new VisitedRow()
        rows.forEach((table, row) => {
          entry.key = this.#windowed ? table.windowChangelogKeyOf(row, this.#keys) : table.copyKey(row, this.#keys)
          entry.value = table.copyValue(row, this.#values, skipped)
          entry.timestamp = table.timestampOf(row)
          visit(entry)
        })
      },
    }
  }

  async commit(changelogOffset?: number): Promise<void> {
    if (changelogOffset !== undefined) {
      if (changelogOffset < this.#changelogOffset) {
        throw new StreamsError(
          'INVALID_STATE',
          `store "${this.name}": changelog offset ${changelogOffset} is behind ${this.#changelogOffset}, which was committed before`,
          { store: this.name, offset: changelogOffset },
        )
      }
      this.#changelogOffset = changelogOffset
    } else if (this.#draining.size === 0) return
    const committing = this.#draining
    await this.#rows.write(this.#drainedChanges(committing), this.#changelogOffset)
    committing.forEach((table, row) => {
      table.setMarks(row, table.marksOf(row) & ~draining)
    })
    this.#draining = new RowList()
    this.#drained = new Map()
  }

  /** What was drained, made one by one when it is read. */
  #drainedChanges(rows: RowList): Changes {
    return {
      length: rows.size,
      forEach: (visit) => {
        const change = new VisitedRow()
        rows.forEach((table, row) => {
          const drained = this.#drained.get(table)?.get(row)
          change.key = table.copyKey(row, this.#keys)
          change.value = drained === undefined ? table.copyValue(row, this.#values) : drained
          visit(change)
        })
      },
    }
  }

  rollback(): void {
    this.#tables.clear()
    this.#knownAfterMs = Number.POSITIVE_INFINITY
    this.#wanted = new RowList()
    this.#changes = new RowList()
    this.#drained = new Map()
    this.#draining = new RowList()
    this.#bytesSinceCommit = 0
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.rollback()
    await this.#rows.close()
  }

  /** Returns the row. */
  #change(table: RowTable, key: Buffer, to: { readonly value: Buffer | null; readonly mark: number }): number {
    const { size } = table
    const row = table.add(key)
    const wasThere = row < size
    const marks = table.marksOf(row)
    const isNew = (marks & (changed | expired)) === 0
    if (isNew) {
      this.#changes.push(table, row)
      if ((marks & draining) !== 0) this.#keepDrained(table, row)
    } else this.#bytesSinceCommit -= table.bytesOf(row)
    table.setValue(row, to.value)
    table.setMarks(row, (marks & draining) | (wasThere ? used : 0) | to.mark)
    this.#bytesSinceCommit += table.bytesOf(row) + (isNew ? dirtyOverheadBytes : 0)
    return row
  }

  #keepDrained(table: RowTable, row: number): void {
    let values = this.#drained.get(table)
    if (values === undefined) {
      values = new Map()
      this.#drained.set(table, values)
    }
    values.set(row, table.valueOf(row))
  }

  /** The row's value in memory; undefined when only the byte store can tell. */
  #inMemory(key: Buffer): Buffer | null | undefined {
    const table = this.#tableOf(key)
    const row = table?.find(key) ?? -1
    return table === undefined || row < 0 || isWanted(table, row) ? undefined : table.valueOf(row)
  }

  #isKnown(key: Buffer): boolean {
    return this.#windowed && windowStartOfRow(key) > this.#knownAfterMs
  }

  async #lookUpNewest(): Promise<void> {
    const newest = await this.#rows.lastKey()
    this.#knownAfterMs = newest === undefined ? -1 : windowStartOfRow(newest)
  }

  #tableOf(key: Buffer): RowTable | undefined {
    return this.#tables.at(this.#windowed ? windowStartOfRow(key) : 0)
  }

  #tableFor(key: Buffer): RowTable {
    return this.#tables.for(this.#windowed ? windowStartOfRow(key) : 0)
  }

  /** Makes the bound hold, as far as rows can leave; and rids tables of what is garbage in them. */
  #evict(): void {
    if (this.#wanted.size > 0) return
    const moves = new Map<RowTable, MovedRows>()
    for (const table of this.#tables.inOrder())
      if (table.isWasteful) this.#replace(table, Number.POSITIVE_INFINITY, moves)
    let { bytes } = this.#tables
    if (bytes > this.#cachedBytesMax) {
      for (const table of this.#tables.inOrder()) {
        if (bytes <= this.#cachedBytesMax) break
        bytes -= table.bytes
        bytes += this.#replace(table, Math.max(this.#cachedBytesMax * keptShare - bytes, 0), moves)
        this.#knownAfterMs = Math.max(this.#knownAfterMs, table.throughMs)
      }
    }
    if (moves.size > 0) this.#draining.follow(moves)
  }

  /** Puts a table of at most `bytesMax` bytes in the place of this one, or none; returns what it takes. */
  #replace(table: RowTable, bytesMax: number, moves: Map<RowTable, MovedRows>): number {
    if (bytesMax === 0 && !table.hasPinned) {
      this.#tables.delete(table)
      return 0
    }
    const rows = new Uint32Array(table.size)
    const kept = table.kept(bytesMax, (from, to) => {
      rows[from] = to
    })
    if (kept.size === 0) {
      this.#tables.delete(table)
      return 0
    }
    this.#tables.replace(table, kept)
    moves.set(table, { table: kept, rows })
    return kept.bytes
  }

  /** Keys of rows that are not committed, in order. */
  #uncommittedWithin(from: Buffer, to: Buffer): Buffer[] {
    const found: Buffer[] = []
    this.#draining.forEach((table, row) => {
      addWithin(found, table.keyOf(row), { from, to })
    })
    this.#changes.forEach((table, row) => {
      if ((table.marksOf(row) & draining) === 0) addWithin(found, table.keyOf(row), { from, to })
    })
    return found.sort(Buffer.compare)
  }
}

const oneZeroByte = Buffer.alloc(1)

/** One row after the other, for visits. */
class VisitedRow implements ChangedRow {
  key: Buffer = oneZeroByte
  value: Buffer | null = null
  timestamp = 0
}

function isWanted(table: RowTable, row: number): boolean {
  return (table.marksOf(row) & wanted) !== 0
}

function addWithin(found: Buffer[], key: Buffer, range: { readonly from: Buffer; readonly to: Buffer }): void {
  if (Buffer.compare(key, range.from) >= 0 && Buffer.compare(key, range.to) < 0) found.push(key)
}
