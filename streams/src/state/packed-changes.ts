import { copyBytes } from '../core/copy-bytes.ts'
import type { Change, Changes } from './store.ts'

/** Numbers kept of each change: the lengths of its key and its value (−1: null). */
const columns = 2

const bytesMin = 1_024
const changesMin = 16

/** Changes on their way to a store, their bytes one behind the other: two buffers and an object for each of thousands are garbage that lives until they are written. */
export class PackedChanges implements Changes {
  #length = 0
  #numbers: Int32Array
  #bytes: Buffer
  #at = 0

  /** `like`: changes that these are likely to become as many as; a good guess saves copies. */
  constructor(like?: PackedChanges) {
    this.#numbers = new Int32Array(Math.max(changesMin, like?.length ?? 0) * columns)
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(bytesMin, like?.bytes ?? 0))
  }

  get length(): number {
    return this.#length
  }

  /** Of keys and values. */
  get bytes(): number {
    return this.#at
  }

  /** Adds a copy. */
  push({ key, value }: Change): void {
    const at = this.#length * columns
    if (at === this.#numbers.length) {
      const grown = new Int32Array(this.#numbers.length * 2)
      grown.set(this.#numbers)
      this.#numbers = grown
    }
    this.#numbers[at] = key.length
    this.#numbers[at + 1] = value === null ? -1 : value.length
    this.#append(key)
    if (value !== null) this.#append(value)
    this.#length++
  }

  /** Each with views that stay as they are. */
  forEach(visit: (change: Change) => void): void {
    let start = 0
    for (let index = 0; index < this.#length; index++) {
      const valueStart = start + (this.#numbers[index * columns] ?? 0)
      const valueLength = this.#numbers[index * columns + 1] ?? -1
      const end = valueStart + Math.max(valueLength, 0)
      const key = this.#bytes.subarray(start, valueStart)
      visit({ key, value: valueLength < 0 ? null : this.#bytes.subarray(valueStart, end) })
      start = end
    }
  }

  #append(from: Buffer): void {
    const { length } = from
    const at = this.#at
    if (at + length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(at + length, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#at = copyBytes(from, this.#bytes, at)
  }
}

/** Changes, and others behind them. */
export function changesInOrder(first: Changes, second: Changes): Changes {
  return {
    length: first.length + second.length,
    forEach(visit) {
      first.forEach(visit)
      second.forEach(visit)
    },
  }
}
