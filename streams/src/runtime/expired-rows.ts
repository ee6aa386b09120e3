import type { ByteStore, Change } from '../state/store.ts'
import { timestampOfRow } from '../state/timestamped-value.ts'
import { windowRowBound } from '../state/window-key.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { changelogRetentionExtraMs, standbyExpiredRowsMax, standbyExpiryIntervalMs } from './limits.ts'

/**
 * The rows of a copied window store whose time is over. Its task deletes such rows without a word in the changelog, so a copy has to find them
 * itself: rows that were last updated longer before the latest time in the changelog than the changelog keeps them, which is the retention and a
 * day. Not the retention alone: a task that goes by the watermarks of its writers is behind its newest rows by as much as its slowest writer,
 * and has still to hand on the final results of windows that these rows would make look over.
 */
export class ExpiredRows {
  readonly #rows: ByteStore
  readonly #keptMs: number | undefined
  #latestMs = -1
  /** Rows older than this are being looked for, or were. */
  #beforeMs = -1
  /** Where the search goes on; undefined between two. */
  #from: Buffer | undefined

  constructor(spec: StoreSpec, rows: ByteStore) {
    this.#rows = rows
    const { kind, timestamped, retentionMs } = spec
    const isWindowed = kind === 'window' && timestamped && retentionMs !== undefined
    this.#keptMs = isWindowed ? retentionMs + changelogRetentionExtraMs : undefined
  }

  /** Takes note of the time in new rows. */
  observe(changes: readonly Change[]): void {
    if (this.#keptMs === undefined) return
    for (const { value } of changes) {
      if (value !== null) this.#latestMs = Math.max(this.#latestMs, timestampOfRow(value))
    }
  }

  /** Keys to be deleted before new rows are written, of one page of the store; mostly none. */
  async next(): Promise<readonly Buffer[]> {
    if (this.#keptMs === undefined) return []
    const overMs = this.#latestMs - this.#keptMs
    if (this.#from === undefined) {
      if (overMs - this.#beforeMs < standbyExpiryIntervalMs) return []
      this.#beforeMs = overMs
      this.#from = windowRowBound(0)
    }
    // A row is not older than its window's start, and rows lie in the order of these.
    const page = await this.#rows.range(this.#from, windowRowBound(this.#beforeMs), standbyExpiredRowsMax)
    const last = page.at(-1)
    this.#from =
      page.length < standbyExpiredRowsMax || last === undefined ? undefined : Buffer.concat([last.key, Buffer.alloc(1)])
    return page.filter(({ value }) => timestampOfRow(value) < this.#beforeMs).map(({ key }) => key)
  }
}
