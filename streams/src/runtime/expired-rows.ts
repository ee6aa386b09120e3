import type { RowsOver } from '../processor/processor.ts'
import type { ByteStore } from '../state/store.ts'
import { timestampOfRow } from '../state/timestamped-value.ts'
import { windowRowBound } from '../state/window-key.ts'
import { standbyExpiredRowsMax, standbyExpiryIntervalMs } from './limits.ts'

/**
 * The rows of a copied window store whose time is over. Its task deletes such rows without a word in the changelog, so a copy has to find them
 * itself. It goes by what the task has committed, never by its own newest rows: a task that reads its inputs unevenly, or goes by
 * the watermarks of slow writers, is behind these without bound, and has still to hand on the final results of windows that would look over.
 */
export class ExpiredRows {
  readonly #rows: ByteStore
  /** What is being looked for, or was last. */
  #over: RowsOver = { startMsMax: -1, updatedMsMax: -1 }
  /** Where the search goes on; undefined between two. */
  #from: Buffer | undefined

  constructor(rows: ByteStore) {
    this.#rows = rows
  }

  /** Keys to be deleted before new rows are written, of one page of the store; mostly none. `over`: what is known to be over now, if anything. */
  async next(over: RowsOver | undefined): Promise<readonly Buffer[]> {
    if (over === undefined) return []
    if (this.#from === undefined) {
      if (!hasMovedOn(over, this.#over)) return []
      this.#over = over
      this.#from = windowRowBound(0)
    }
    const { startMsMax, updatedMsMax } = this.#over
    const page = await this.#rows.range(this.#from, windowRowBound(startMsMax + 1), standbyExpiredRowsMax)
    const last = page.at(-1)
    this.#from =
      page.length < standbyExpiredRowsMax || last === undefined ? undefined : Buffer.concat([last.key, Buffer.alloc(1)])
    return page.filter(({ value }) => timestampOfRow(value) <= updatedMsMax).map(({ key }) => key)
  }
}

function hasMovedOn(now: RowsOver, before: RowsOver): boolean {
  return (
    now.startMsMax - before.startMsMax >= standbyExpiryIntervalMs ||
    now.updatedMsMax - before.updatedMsMax >= standbyExpiryIntervalMs
  )
}
