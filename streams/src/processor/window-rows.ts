import { limits } from '../core/limits.ts'
import { noHeaders, type RecordHeader } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import { ScratchBuffers } from '../state/scratch-buffers.ts'
import type { Row, TaskStore } from '../state/store.ts'
import { timestampBytes, timestampOfRow, valueOfRow } from '../state/timestamped-value.ts'
import {
  keyOfWindowRow,
  windowKeyStart,
  windowKeyTail,
  windowRowBound,
  windowRowKey,
  windowStartOfRow,
} from '../state/window-key.ts'
import { closedStartMax, type TimeWindows } from '../windows/time-windows.ts'
import type { Windowed } from '../windows/windowed.ts'
import type { Change, EmitMode } from './change.ts'
import type { Fold } from './fold.ts'
import { Folding } from './folded-row.ts'
import type { ProcessorContext, RowsOver } from './processor.ts'
import { rowId } from './row-id.ts'

/** What rows of windows are made of. */
export interface WindowRowsOptions<K, V, A, R> {
  readonly store: string
  readonly keySerde: Serde<K>
  readonly fold: Fold<V, A, R>
  readonly windows: TimeWindows
  /** How long a row is kept after its window's start, in stream time; at least size + grace. */
  readonly retentionMs: number
  readonly emit: EmitMode
  /** Changes carry the value that was handed on before. */
  readonly oldValues?: boolean
}

/**
 * The rows of a windowed aggregation: one per key and window. Rows that change between two commits are kept decoded, as long as they are few; `flush`
 * writes them, hands on what the emit mode says, and looks for windows that have closed and rows whose time is over. The store's order is by window
 * start, so both are short ranges, and nothing is looked for before stream time passes the next window's bound.
 *
 * With 100,000 keys nearly every record meets another row: decoded ones would wait for the commit, and be copied by the garbage collector two or three
 * times on the way. Beyond a thousand they are written to the store's memory and forgotten; the commit reads what it hands on back from there.
 *
 * A result is final once: closing goes on from the stream time through which it was done at the last commit, which `times` of the
 * processor carries over restarts. Rows are closed before they expire.
 */
export class WindowRows<K, V, A, R> {
  readonly #options: WindowRowsOptions<K, V, A, R>
  readonly #context: ProcessorContext<Windowed<K>, Change<R>>
  readonly #store: TaskStore
  #byStart = new Map<number, DecodedWindow<K, V, A, R>>()
  readonly #keys = new ScratchBuffers()
  readonly #values = new ScratchBuffers()
  #changed: WindowRow<K, V, A, R>[] = []
  /** When so many rows have changed, those that can be are set aside. */
  #changedMax: number = limits.decodedRowsMax
  /** Rows that were set aside since the last commit; one that has changed again counts again. */
  #setAside = 0
  #lastWindow: DecodedWindow<K, V, A, R> | undefined
  /** Old values of rows that changed and close in the same commit, by their keys. */
  readonly #oldOfClosing = new Map<string, R | null>()
  /** The stream time through which windows were closed and rows expired. */
  closedThroughMs = -1

  constructor(options: WindowRowsOptions<K, V, A, R>, context: ProcessorContext<Windowed<K>, Change<R>>) {
    this.#options = options
    this.#context = context
    this.#store = context.store(options.store)
  }

  /** Goes on after a restart: rows whose time was over by then are removed, and not handed on again. */
  async restore(closedThroughMs: number): Promise<void> {
    this.closedThroughMs = closedThroughMs
    await this.#expire(0, this.#expiredStartMax(closedThroughMs))
  }

  /** Whether the row of this key and window can be read now; asks the store for it if not. */
  isLoaded(key: K, startMs: number): boolean {
    const { keySerde } = this.#options
    const id = rowId(key, keySerde)
    const window = this.#windowAt(startMs)
    if (window.rows.has(id)) return true
    const rowKey = windowRowKey(keySerde.write(key), startMs, this.#keys)
    if (!this.#store.has(rowKey)) {
      this.#store.want(rowKey)
      return false
    }
    // Read at once: the update that follows would have to make its key again.
    window.rows.set(id, this.#read(rowKey, key, window))
    return true
  }

  /** Adds a value to the row of this key and window, which must be open. */
  update(at: { readonly key: K; readonly startMs: number }, value: V, record: UpdatingRecord): void {
    if (this.#changed.length >= this.#changedMax) this.#setRowsAside()
    const row = this.#rowOf(at.key, at.startMs)
    if (!row.isChanged) this.#markChanged(row)
    row.update(value, record.timestamp)
    row.headers = record.headers
    if (this.#options.emit === 'every-update') this.#forward(row)
  }

  /** Commit: writes changed rows, hands on updates, and closes and expires windows through `streamTimeMs`. */
  async flush(streamTimeMs: number): Promise<void> {
    const { emit, windows, keySerde, oldValues } = this.#options
    const finalStartMax = emit === 'updates-and-close' ? closedStartMax(windows, streamTimeMs) : -1
    if (this.#setAside > 0) {
      this.#setRowsAside()
      if (emit === 'updates' || emit === 'updates-and-close') this.#forwardSetAside(finalStartMax)
    }
    for (const row of this.#changed) {
      const { startMs } = row.window
      const rowKey = windowRowKey(keySerde.write(row.key), startMs, this.#keys)
      row.putAt(rowKey, this.#store, this.#values)
      if (emit === 'updates' || (emit === 'updates-and-close' && startMs > finalStartMax)) this.#forward(row)
      else if (oldValues === true && emit === 'updates-and-close')
        this.#oldOfClosing.set(rowKey.toString('latin1'), row.old)
    }
    this.#changed = []
    this.#changedMax = limits.decodedRowsMax
    this.#setAside = 0
    this.#forget()
    if (streamTimeMs > this.closedThroughMs) await this.#closeThrough(streamTimeMs)
    this.#oldOfClosing.clear()
  }

  /** Writes rows to the store's memory and forgets them, all but those of which something else has to be kept. */
  #setRowsAside(): void {
    const { keySerde, oldValues } = this.#options
    const kept: WindowRow<K, V, A, R>[] = []
    for (const row of this.#changed) {
      if (oldValues === true || row.headers.length > 0 || row.accumulator === null) kept.push(row)
      else row.putAt(windowRowKey(keySerde.write(row.key), row.window.startMs, this.#keys), this.#store, this.#values)
    }
    this.#setAside += this.#changed.length - kept.length
    this.#changed = kept
    this.#changedMax = Math.max(limits.decodedRowsMax, 2 * kept.length)
    this.#forget()
    for (const row of kept) this.#windowAt(row.window.startMs).rows.set(rowId(row.key, keySerde), row)
  }

  /** Rows that are decoded still, or again, are handed on by themselves. */
  #forwardSetAside(finalStartMax: number): void {
    const { keySerde, fold, windows } = this.#options
    const hasDecoded = this.#changed.length > 0
    this.#store.forEachChanged(({ key: rowKey, value: stored, timestamp }) => {
      const startMs = windowStartOfRow(rowKey)
      if (stored === null || startMs <= finalStartMax) return
      const key = keySerde.read(rowKey, windowKeyStart, rowKey.length - windowKeyTail)
      if (hasDecoded && this.#byStart.get(startMs)?.rows.has(rowId(key, keySerde)) === true) return
      const value = fold.result(fold.serde.read(stored, timestampBytes, stored.length))
      this.#context.forward({
        key: { key, startMs, endMs: startMs + windows.sizeMs },
        value: { value, old: null, final: false },
        timestamp,
        headers: noHeaders,
      })
    })
  }

  #forget(): void {
    // Not cleared: V8 links the table that a Map gives up to the one that follows, and so one in the old generation, dead or not, keeps all later ones
    // with their rows through every scavenge. Of 2 million events 628 MB were copied that way, 12 without.
    this.#byStart = new Map()
    this.#lastWindow = undefined
  }

  async #closeThrough(streamTimeMs: number): Promise<void> {
    const { windows } = this.#options
    const expiredFrom = this.#expiredStartMax(this.closedThroughMs) + 1
    const expiredMax = this.#expiredStartMax(streamTimeMs)
    let closedFrom = closedStartMax(windows, this.closedThroughMs) + 1
    if (this.#emitsOnClose) {
      await this.#close(closedFrom, closedStartMax(windows, streamTimeMs), expiredMax)
    } else {
      closedFrom = Number.POSITIVE_INFINITY
    }
    await this.#expire(expiredFrom, Math.min(expiredMax, closedFrom - 1))
    this.closedThroughMs = streamTimeMs
  }

  /** Hands on the results of windows that start from `fromMs` through `throughMs`, by start and key bytes. */
  async #close(fromMs: number, throughMs: number, expiredMax: number): Promise<void> {
    if (!this.#hasStartWithin(fromMs, throughMs)) return
    for await (const row of this.#store.range(boundOf(fromMs), boundOf(throughMs + 1))) {
      this.#forwardFinal(row)
      if (windowStartOfRow(row.key) <= expiredMax) this.#store.expire(row.key)
    }
  }

  async #expire(fromMs: number, throughMs: number): Promise<void> {
    if (!this.#hasStartWithin(fromMs, throughMs)) return
    for await (const row of this.#store.range(boundOf(fromMs), boundOf(throughMs + 1))) this.#store.expire(row.key)
  }

  #expiredStartMax(streamTimeMs: number): number {
    return expiredStartMax(this.#options, streamTimeMs)
  }

  get #emitsOnClose(): boolean {
    return emitsOnClose(this.#options.emit)
  }

  /** Whether a window can start in this range: most commits pass none. */
  #hasStartWithin(fromMs: number, throughMs: number): boolean {
    const { advanceMs } = this.#options.windows
    return throughMs >= 0 && Math.floor(throughMs / advanceMs) * advanceMs >= fromMs
  }

  /** The rows of a window that are decoded; most records fall into the same window as the one before. */
  #windowAt(startMs: number): DecodedWindow<K, V, A, R> {
    if (this.#lastWindow?.startMs === startMs) return this.#lastWindow
    let window = this.#byStart.get(startMs)
    if (window === undefined) {
      window = { startMs, rows: new Map() }
      this.#byStart.set(startMs, window)
    }
    this.#lastWindow = window
    return window
  }

  #rowOf(key: K, startMs: number): WindowRow<K, V, A, R> {
    const { keySerde } = this.#options
    const window = this.#windowAt(startMs)
    const id = rowId(key, keySerde)
    const known = window.rows.get(id)
    if (known !== undefined) return known
    const row = this.#read(windowRowKey(keySerde.write(key), startMs, this.#keys), key, window)
    window.rows.set(id, row)
    return row
  }

  #read(rowKey: Buffer, key: K, window: DecodedWindow<K, V, A, R>): WindowRow<K, V, A, R> {
    const { fold, oldValues } = this.#options
    const row = new WindowRow<K, V, A, R>(fold, key, window)
    row.readFrom(this.#store.get(rowKey))
    if (oldValues === true && row.accumulator !== undefined) row.old = fold.result(row.accumulator)
    return row
  }

  #markChanged(row: WindowRow<K, V, A, R>): void {
    row.isChanged = true
    this.#changed.push(row)
    if (this.#changed.length + this.#setAside === limits.changedRowsMax) this.#context.requestCommit()
  }

  #forward(row: WindowRow<K, V, A, R>): void {
    if (row.accumulator === undefined) return
    const { startMs } = row.window
    const value = this.#options.fold.result(row.accumulator)
    const change = { value, old: row.old, final: false }
    if (this.#options.oldValues === true) row.old = value
    this.#context.forward({
      key: { key: row.key, startMs, endMs: startMs + this.#options.windows.sizeMs },
      value: change,
      timestamp: row.timestamp,
      headers: row.headers,
    })
  }

  #forwardFinal(row: Row): void {
    const { keySerde, fold, windows } = this.#options
    const key = keyOfWindowRow(row.key)
    const value = valueOfRow(row.value)
    const startMs = windowStartOfRow(row.key)
    const result = fold.result(fold.serde.read(value, 0, value.length))
    this.#context.forward({
      key: { key: keySerde.read(key, 0, key.length), startMs, endMs: startMs + windows.sizeMs },
      value: { value: result, old: this.#oldOfFinal(row, result), final: true },
      timestamp: timestampOfRow(row.value),
      headers: this.closingHeaders,
    })
  }

  /** A row that did not change since the last commit was handed on as it is, unless only closed windows are. */
  #oldOfFinal(row: Row, result: R): R | null {
    const { oldValues, emit } = this.#options
    if (oldValues !== true || emit === 'close') return null
    const changed = this.#oldOfClosing.get(row.key.toString('latin1'))
    return changed === undefined ? result : changed
  }

  /** The headers that final results get: those of the record that moved stream time on. */
  closingHeaders: readonly RecordHeader[] = noHeaders
}

/** Rows that a task has dropped which committed that it had closed and expired windows through `closedThroughMs`. */
export function windowRowsOver(of: WindowRetention, closedThroughMs: number): RowsOver | undefined {
  const startMsMax = expiredStartMax(of, closedThroughMs)
  return startMsMax < 0 ? undefined : { startMsMax, updatedMsMax: Number.POSITIVE_INFINITY }
}

type WindowRetention = Pick<WindowRowsOptions<never, never, never, never>, 'windows' | 'retentionMs' | 'emit'>

/**
 * The largest window start whose rows are over: as in Kafka Streams counted from the newest window, not from stream time itself, and a
 * millisecond later where results are handed on at the close.
 */
function expiredStartMax({ windows, retentionMs, emit }: WindowRetention, streamTimeMs: number): number {
  if (streamTimeMs < 0) return -1
  return streamTimeMs - (streamTimeMs % windows.advanceMs) - retentionMs - (emitsOnClose(emit) ? 1 : 0)
}

function emitsOnClose(emit: EmitMode): boolean {
  return emit === 'close' || emit === 'updates-and-close'
}

/** What an update takes from the record that caused it. */
export interface UpdatingRecord {
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

/** Rows of one window by their keys, as `rowId` has them. */
interface DecodedWindow<K, V, A, R> {
  readonly startMs: number
  readonly rows: Map<string | number, WindowRow<K, V, A, R>>
}

/** Without its key in the store, which is made again when the row is written: with 100,000 keys that is garbage of the costly kind, which lives until the commit. */
class WindowRow<K, V, A, R> extends Folding<V, A> {
  readonly key: K
  readonly window: DecodedWindow<K, V, A, R>
  isChanged = false
  /** What was handed on last; stays null where nobody asks for it. */
  old: R | null = null
  headers: readonly RecordHeader[] = noHeaders

  constructor(fold: Fold<V, A, unknown>, key: K, window: DecodedWindow<K, V, A, R>) {
    super(fold)
    this.key = key
    this.window = window
  }
}

function boundOf(startMs: number): Buffer {
  return windowRowBound(Math.max(startMs, 0))
}
