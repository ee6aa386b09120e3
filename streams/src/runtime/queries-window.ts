import { StreamsError } from '../core/errors.ts'
import type { CommittedRows } from '../state/store.ts'
import { keyOfWindowRow, windowRowBound, windowRowKey, windowStartOfRow } from '../state/window-key.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { queryWindowsMax } from './limits.ts'
import type { StoreLocator } from './queries-locate.ts'
import { cursorText, type Page, type PageOptions, pageLimit, readCursor } from './queries-page.ts'
import { readPage } from './queries-read.ts'
import { RowDecoder } from './queries-rows.ts'

/** A row of a window store, as of its last commit. */
export interface WindowRow<K, V> {
  readonly key: K
  /** The window is [start, end), milliseconds since the epoch. */
  readonly startMs: number
  readonly endMs: number
  readonly value: V
  /** The largest timestamp that went into the value; undefined where the store does not keep it. */
  readonly timestamp: number | undefined
}

/** Windows that start from `fromMs` through `toMs`. Default: all. */
export interface WindowRange extends PageOptions {
  readonly fromMs?: number
  readonly toMs?: number
}

/**
 * Reads a window store while it is written. What it shows is committed: never a change that a transaction may still take back. A store's rows
 * of one commit appear together. Windows past the store's retention are hidden, as in Kafka Streams, whether or not their rows are still there.
 */
export class ReadOnlyWindowStore<K, V> {
  readonly kind = 'window'
  readonly name: string
  readonly windowSizeMs: number
  readonly #locator: StoreLocator
  readonly #decoder: RowDecoder<K, V>

  constructor(locator: StoreLocator) {
    this.name = locator.spec.name
    this.windowSizeMs = locator.spec.windowSizeMs ?? 0
    this.#locator = locator
    this.#decoder = new RowDecoder<K, V>(locator.spec)
  }

  /**
   * A key's windows, oldest first. A page looks at 5,000 windows at most, whether they have a row or not. Throws `STORE_ELSEWHERE`,
   * `STORE_NOT_READY`, `CLOSED`, `INVALID_QUERY`.
   */
  async fetch(key: K, range: WindowRange = {}): Promise<Page<WindowRow<K, V>>> {
    checkRange(range)
    const limit = pageLimit(range)
    const keyBytes = this.#decoder.keyBytes(key)
    const cursor = range.after === undefined ? undefined : readCursor(range.after)
    const { rows, partition } = this.#locator.locate(
      range.partition ?? cursor?.partition ?? this.#locator.partitionOf(keyBytes),
      range,
    )
    const after = cursor?.key === undefined ? -1 : startOf(cursor.key)
    const within = await this.#visibleWithin(rows, range)
    const [oldest] = within === undefined ? [] : await rows.range(windowRowBound(within.fromMs), behindAll, 1)
    if (within === undefined || oldest === undefined) return { rows: [], next: undefined }
    const fromMs = Math.max(windowStartOfRow(oldest.key), after + 1)
    const starts = this.#startsWithin(fromMs, within.toMs)
    const values = await rows.multiGet(starts.map((startMs) => windowRowKey(keyBytes, startMs)))
    const found: WindowRow<K, V>[] = []
    let looked = 0
    for (; looked < starts.length && found.length < limit; looked++) {
      const startMs = starts[looked]
      const value = values[looked]
      if (startMs === undefined || value === null || value === undefined) continue
      found.push({ key, startMs, endMs: startMs + this.windowSizeMs, ...this.#decoder.value(value) })
    }
    const last = starts[looked - 1]
    const isLast = last === undefined || last + this.#advanceMs > within.toMs
    const next = isLast ? undefined : cursorText({ partition, key: windowRowBound(last) })
    return { rows: found, next }
  }

  /** The windows of every key, by their start, of every partition that is here, one after the other. Throws as `fetch` does. */
  async fetchAll(range: WindowRange = {}): Promise<Page<WindowRow<K, V>>> {
    checkRange(range)
    return readPage(this.#locator, range, {
      boundsOf: async ({ rows }) => {
        const within = await this.#visibleWithin(rows, range)
        return within && { from: windowRowBound(within.fromMs), to: windowRowBound(within.toMs + 1) }
      },
      decode: ({ key, value }) => {
        const startMs = windowStartOfRow(key)
        const endMs = startMs + this.windowSizeMs
        return { key: this.#decoder.key(keyOfWindowRow(key)), startMs, endMs, ...this.#decoder.value(value) }
      },
    })
  }

  /** All rows, as `fetchAll` without bounds. */
  all(options: PageOptions = {}): Promise<Page<WindowRow<K, V>>> {
    return this.fetchAll(options)
  }

  get #advanceMs(): number {
    return this.#locator.spec.windowAdvanceMs ?? this.windowSizeMs
  }

  /** The starts that a row can have and that may be shown; undefined when there are none. */
  async #visibleWithin(
    rows: CommittedRows,
    { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER - 1 }: WindowRange,
  ): Promise<{ readonly fromMs: number; readonly toMs: number } | undefined> {
    const newest = await rows.lastKey()
    if (newest === undefined) return undefined
    const newestMs = windowStartOfRow(newest)
    const within = {
      fromMs: Math.max(fromMs, hiddenThroughMs(this.#locator.spec, newestMs) + 1, 0),
      toMs: Math.min(toMs, newestMs),
    }
    return within.fromMs > within.toMs ? undefined : within
  }

  #startsWithin(fromMs: number, toMs: number): readonly number[] {
    const advanceMs = this.#advanceMs
    const starts: number[] = []
    for (let start = Math.ceil(fromMs / advanceMs) * advanceMs; start <= toMs; start += advanceMs) {
      starts.push(start)
      if (starts.length === queryWindowsMax) break
    }
    return starts
  }
}

/** Behind the rows of every window. */
const behindAll = windowRowBound(Number.MAX_SAFE_INTEGER)

/** The latest start of a window that is over, by the store's rule; −1 when none is. */
function hiddenThroughMs({ expiry = 'start', retentionMs }: StoreSpec, newestMs: number): number {
  if (expiry === 'update' || retentionMs === undefined) return -1
  return newestMs - retentionMs - (expiry === 'start' ? 0 : 1)
}

function startOf(cursorKey: Buffer): number {
  if (cursorKey.length === windowRowBound(0).length) return windowStartOfRow(cursorKey)
  throw new StreamsError('INVALID_QUERY', 'after must be the "next" of an earlier page of this query')
}

function checkRange({ fromMs = 0, toMs = fromMs }: WindowRange): void {
  if (!Number.isSafeInteger(fromMs) || !Number.isSafeInteger(toMs) || fromMs > toMs)
    throw new StreamsError(
      'INVALID_QUERY',
      `fromMs and toMs must be whole milliseconds, fromMs no later than toMs, not ${fromMs} and ${toMs}`,
    )
}
