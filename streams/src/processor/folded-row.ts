import type { TaskStore } from '../state/store.ts'
import { timestampedValue, timestampOfRow, valueOfRow } from '../state/timestamped-value.ts'
import type { Fold } from './fold.ts'

/** A store's row, decoded for as long as it changes between two commits. */
export class FoldedRow<V, A> {
  readonly rowKey: Buffer
  /** Undefined: there was never a row. Null, if A has null: the row is deleted. */
  accumulator: A | undefined
  /** The largest timestamp of the values that went in, −1 before the first. */
  timestamp = -1
  readonly #fold: Fold<V, A, unknown>

  constructor(fold: Fold<V, A, unknown>, rowKey: Buffer) {
    this.#fold = fold
    this.rowKey = rowKey
  }

  /** Takes what the store has. */
  readFrom(stored: Buffer | null): void {
    if (stored === null) return
    const value = valueOfRow(stored)
    this.accumulator = this.#fold.serde.read(value, 0, value.length)
    this.timestamp = timestampOfRow(stored)
  }

  update(value: V, timestamp: number): void {
    if (this.accumulator === undefined || this.accumulator === null) {
      this.accumulator = this.#fold.first(value, timestamp)
      this.timestamp = timestamp
    } else {
      this.accumulator = this.#fold.next(this.accumulator, value, timestamp)
      if (timestamp > this.timestamp) this.timestamp = timestamp
    }
  }

  /** Writes the row to the store, or deletes it there. */
  putInto(store: TaskStore | undefined): void {
    const { accumulator, timestamp } = this
    const isDeleted = accumulator === undefined || accumulator === null
    const value = isDeleted ? null : timestampedValue(this.#fold.serde.write(accumulator), timestamp)
    store?.put(this.rowKey, value, timestamp)
  }
}
