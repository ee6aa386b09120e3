import type { ScratchBuffers } from '../state/scratch-buffers.ts'
import type { TaskStore } from '../state/store.ts'
import { timestampedValue, timestampOfRow, valueOfRow } from '../state/timestamped-value.ts'
import type { Fold } from './fold.ts'

/** What is folded into a row, decoded for as long as the row changes between two commits. */
export class Folding<V, A> {
  /** Undefined: there was never a row. Null, if A has null: the row is deleted. */
  accumulator: A | undefined
  /** The largest timestamp of the values that went in, −1 before the first. */
  timestamp = -1
  readonly #fold: Fold<V, A, unknown>

  constructor(fold: Fold<V, A, unknown>) {
    this.#fold = fold
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

  /** Writes it to a row of the store, or deletes the row. `scratch` is not to be where the key is. */
  putAt(rowKey: Buffer, store: TaskStore, scratch?: ScratchBuffers): void {
    const { accumulator, timestamp } = this
    const isDeleted = accumulator === undefined || accumulator === null
    const value = isDeleted ? null : timestampedValue(this.#fold.serde.write(accumulator), timestamp, scratch)
    store.put(rowKey, value, timestamp)
  }
}

/** The same, with the key of its row. */
export class FoldedRow<V, A> extends Folding<V, A> {
  readonly rowKey: Buffer

  constructor(fold: Fold<V, A, unknown>, rowKey: Buffer) {
    super(fold)
    this.rowKey = rowKey
  }

  /** Writes the row to the store, or deletes it there. */
  putInto(store: TaskStore | undefined): void {
    if (store !== undefined) this.putAt(this.rowKey, store)
  }
}
