import type { Partial } from '../aggregate/partial.ts'
import { limits } from '../core/limits.ts'
import { noHeaders, type StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import type { TaskStore } from '../state/store.ts'
import { timestampOfRow, valueOfRow } from '../state/timestamped-value.ts'
import { keyOfWindowRow, windowRowBound, windowRowKey, windowStartOfRow } from '../state/window-key.ts'
import type { TimeWindows } from '../windows/time-windows.ts'
import type { Windowed } from '../windows/windowed.ts'
import type { Change } from './change.ts'
import { DueTimes } from './due-times.ts'
import type { Fold } from './fold.ts'
import { FoldedRow } from './folded-row.ts'
import { isKeyed } from './keyed-filter.ts'
import type { CommittedTimes, Processor, ProcessorContext, RowsOver } from './processor.ts'
import { rowId } from './row-id.ts'

/** What windows that are kept by arrival are made of. */
export interface ArrivalWindowsOptions<K, A, R> {
  readonly store: string
  readonly keySerde: Serde<K>
  readonly fold: Fold<A, A, R>
  /** `graceMs`: how long after its end, and after its last update, a window's result becomes final. */
  readonly windows: TimeWindows
  /** Windows that wait to become final and are held in memory; default `limits.openWindowsMax`. */
  readonly heldMax?: number | undefined
  /** How long after its last update a row is kept. Records that come later than that, for a window that old, are late. */
  readonly retentionMs: number
}

/**
 * Merges partials into tumbling windows of event time, while stream time is the time of *arrival*: records' timestamps say when they were
 * taken in, and the partials' windows when they happened. So history may be sent at any time, also beside live records, and is counted.
 *
 * A window's result is final when stream time has passed its end and its last update by `graceMs`. If records still come for it, it changes
 * and becomes final again. A row expires `retentionMs` after its last update. A record is late when its window has no row (any more) and
 * starts no later than a window that has expired: then it cannot be told from one that would count a forgotten window anew.
 *
 * Expired rows are found by reading through the store, a page per commit, once per `sweepIntervalMs` of stream time. Windows that wait to
 * become final are held in memory up to a bound; where history comes in bulk, those above it are found by such a reading, too. Their final
 * results come later, and those of windows that were held may come twice.
 */
export class ArrivalWindowsProcessor<K, A, R> implements Processor<K | null, Partial<A>, Windowed<K>, Change<R>> {
  readonly #options: ArrivalWindowsOptions<K, A, R>
  #due = new DueTimes({ rowsMax: limits.openWindowsMax, takenThroughMs: -1 })
  #rows = new Map<number, Map<string | number, ArrivalRow<K, A>>>()
  #changed: ArrivalRow<K, A>[] = []
  #context: ProcessorContext<Windowed<K>, Change<R>> | undefined
  #store: TaskStore | undefined
  /** The latest start of a window that has expired. */
  #forgottenStartMs = -1
  #sweptAtMs = -1
  /** The first update of a window that waits without being held in memory; −1 when all are held. */
  #unheldFromMs = -1
  /** The same, for the sweep under way. */
  #sweepUnheldFromMs = -1
  /** Where the sweep goes on; undefined between two sweeps. */
  #sweepFrom: Buffer | undefined

  constructor(options: ArrivalWindowsOptions<K, A, R>) {
    this.#options = options
  }

  async init(context: ProcessorContext<Windowed<K>, Change<R>>): Promise<void> {
    const [forgottenStartMs = -1, takenThroughMs = -1, unheldFromMs = -1] = context.restoredTimes
    this.#context = context
    this.#store = context.store(this.#options.store)
    this.#forgottenStartMs = forgottenStartMs
    this.#sweptAtMs = context.streamTimeMs()
    this.#unheldFromMs = unheldFromMs
    this.#due = new DueTimes({ rowsMax: this.#options.heldMax ?? limits.openWindowsMax, takenThroughMs })
    // What was taken when the last commit was made is final; the rest waits again.
    for await (const { key, value } of this.#store.range(windowRowBound(0), endOfRows)) {
      const updatedMs = timestampOfRow(value)
      if (this.#dueMs(windowStartOfRow(key), updatedMs) > takenThroughMs) this.#await(key, updatedMs)
    }
  }

  reads(record: StreamRecord<K | null, Partial<A>>): boolean {
    if (!isKeyed(record) || this.#store === undefined) return true
    const startMs = this.#startOf(record.value)
    if (this.#rows.get(startMs)?.has(rowId(record.key, this.#options.keySerde)) === true) return true
    const rowKey = windowRowKey(this.#options.keySerde.write(record.key), startMs)
    if (this.#store.has(rowKey)) return true
    this.#store.want(rowKey)
    return false
  }

  process(record: StreamRecord<K | null, Partial<A>>): void {
    const partial = record.value
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', partial.records)
      return
    }
    const startMs = this.#startOf(partial)
    const row = this.#rowOf(record.key, startMs)
    const streamTimeMs = this.#context?.streamTimeMs() ?? -1
    if (this.#isForgotten(row, streamTimeMs)) {
      this.#context?.dropped('late', partial.records, { windowStartMs: startMs, streamTimeMs })
      return
    }
    if (!row.changed) {
      row.changed = true
      this.#changed.push(row)
      if (this.#changed.length === limits.changedRowsMax) this.#context?.requestCommit()
    }
    row.update(partial.accumulator, record.timestamp)
  }

  async flush(): Promise<void> {
    const streamTimeMs = this.#context?.streamTimeMs() ?? -1
    for (const row of this.#changed) {
      row.putInto(this.#store)
      this.#forward(row)
      this.#await(row.rowKey, row.timestamp)
    }
    this.#changed = []
    this.#rows = new Map() // not cleared: see WindowRows
    await this.#settle(streamTimeMs)
    await this.#sweep(streamTimeMs)
  }

  times(): readonly number[] {
    return [this.#forgottenStartMs, this.#due.takenThroughMs, earlier(this.#unheldFromMs, this.#sweepUnheldFromMs)]
  }

  /**
   * Not those that may still become final, and not those of windows later than the task has forgotten: without its row, such a window would be
   * counted anew.
   */
  rowsOver({ streamTimeMs, times }: CommittedTimes): RowsOver | undefined {
    const [forgottenStartMs = -1, takenThroughMs = -1, unheldFromMs = -1] = times
    const settledMs = Math.min(streamTimeMs, takenThroughMs)
    const overMs = (unheldFromMs < 0 ? settledMs : Math.min(settledMs, unheldFromMs)) - this.#options.retentionMs
    const startMsMax = Math.min(forgottenStartMs, overMs)
    return startMsMax < 0 ? undefined : { startMsMax, updatedMsMax: overMs }
  }

  /** Hands on the results that have become final. */
  async #settle(streamTimeMs: number): Promise<void> {
    const store = this.#store
    const due = this.#due.takeDue(streamTimeMs, limits.settledPerCommit)
    if (store === undefined || due.length === 0) return
    for (const key of due) if (!store.has(key)) store.want(key)
    await store.load()
    for (const key of due) {
      const value = store.get(key)
      if (value !== null) this.#forwardFinal(key, value)
    }
  }

  /** Reads on through the store, one page, and drops rows whose time is over. */
  async #sweep(streamTimeMs: number): Promise<void> {
    if (this.#store === undefined) return
    if (this.#sweepFrom === undefined) {
      if (this.#sweptAtMs < 0) this.#sweptAtMs = streamTimeMs
      if (streamTimeMs < this.#nextSweepMs()) return
      this.#sweptAtMs = streamTimeMs
      this.#sweepFrom = windowRowBound(0)
      this.#sweepUnheldFromMs = this.#unheldFromMs
      this.#unheldFromMs = -1
    }
    let rows = 0
    for await (const { key, value } of this.#store.range(this.#sweepFrom, endOfRows)) {
      if (rows++ === limits.sweepPageRows) {
        this.#sweepFrom = key
        return
      }
      const updatedMs = timestampOfRow(value)
      if (this.#sweepUnheldFromMs >= 0 && updatedMs >= this.#sweepUnheldFromMs) this.#settleUnheld(key, value)
      if (updatedMs + this.#options.retentionMs > streamTimeMs) continue
      this.#forgottenStartMs = Math.max(this.#forgottenStartMs, windowStartOfRow(key))
      this.#store.expire(key)
    }
    this.#sweepFrom = undefined
    this.#sweepUnheldFromMs = -1
  }

  /** When to read through the store next: earlier where windows wait that are not held in memory. */
  #nextSweepMs(): number {
    const { sweepIntervalMs, unheldSweepMs } = limits
    if (this.#unheldFromMs < 0) return this.#sweptAtMs + sweepIntervalMs
    return this.#sweptAtMs + Math.min(sweepIntervalMs, this.#options.windows.graceMs + unheldSweepMs)
  }

  /** A row that may have become final without being held: hands it on, or waits for it from now on. */
  #settleUnheld(key: Buffer, value: Buffer): void {
    const updatedMs = timestampOfRow(value)
    if (this.#dueMs(windowStartOfRow(key), updatedMs) > this.#due.takenThroughMs) this.#await(key, updatedMs)
    else this.#forwardFinal(key, value)
  }

  /** Notes when the row's result will be final. */
  #await(key: Buffer, updatedMs: number): void {
    if (this.#due.set(key, this.#dueMs(windowStartOfRow(key), updatedMs))) return
    this.#unheldFromMs = earlier(this.#unheldFromMs, updatedMs)
  }

  #isForgotten(row: ArrivalRow<K, A>, streamTimeMs: number): boolean {
    if (row.accumulator === undefined) return row.startMs <= this.#forgottenStartMs
    return row.timestamp + this.#options.retentionMs <= streamTimeMs
  }

  #rowOf(key: K, startMs: number): ArrivalRow<K, A> {
    const { keySerde, fold } = this.#options
    let rows = this.#rows.get(startMs)
    if (rows === undefined) {
      rows = new Map()
      this.#rows.set(startMs, rows)
    }
    const id = rowId(key, keySerde)
    let row = rows.get(id)
    if (row === undefined) {
      const rowKey = windowRowKey(keySerde.write(key), startMs)
      row = new ArrivalRow(fold, rowKey, { key, startMs })
      row.readFrom(this.#store?.get(rowKey) ?? null)
      rows.set(id, row)
    }
    return row
  }

  #startOf(partial: Partial<A>): number {
    return partial.startMs - (partial.startMs % this.#options.windows.sizeMs)
  }

  #dueMs(startMs: number, updatedMs: number): number {
    const { sizeMs, graceMs } = this.#options.windows
    return Math.max(startMs + sizeMs, updatedMs) + graceMs
  }

  #windowed(key: K, startMs: number): Windowed<K> {
    return { key, startMs, endMs: startMs + this.#options.windows.sizeMs }
  }

  #forward(row: ArrivalRow<K, A>): void {
    if (row.accumulator === undefined) return
    this.#context?.forward({
      key: this.#windowed(row.key, row.startMs),
      value: { value: this.#options.fold.result(row.accumulator), final: false },
      timestamp: row.timestamp,
      headers: noHeaders,
    })
  }

  #forwardFinal(rowKey: Buffer, stored: Buffer): void {
    const { keySerde, fold } = this.#options
    const key = keyOfWindowRow(rowKey)
    const value = valueOfRow(stored)
    this.#context?.forward({
      key: this.#windowed(keySerde.read(key, 0, key.length), windowStartOfRow(rowKey)),
      value: { value: fold.result(fold.serde.read(value, 0, value.length)), final: true },
      timestamp: timestampOfRow(stored),
      headers: noHeaders,
    })
  }
}

/** The earlier of two times, of which −1 is none. */
function earlier(one: number, other: number): number {
  return one < 0 || other < 0 ? Math.max(one, other) : Math.min(one, other)
}

/** Behind every row: starts stay below 2^53. */
const endOfRows = windowRowBound(Number.MAX_SAFE_INTEGER)

class ArrivalRow<K, A> extends FoldedRow<A, A> {
  readonly key: K
  readonly startMs: number
  changed = false

  constructor(fold: Fold<A, A, unknown>, rowKey: Buffer, at: { readonly key: K; readonly startMs: number }) {
    super(fold, rowKey)
    this.key = at.key
    this.startMs = at.startMs
  }
}
