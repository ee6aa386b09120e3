import type { RecordHeader } from '../core/record.ts'
import type { SuppressedChange } from './suppressed-row.ts'

/** A row's change while it is held back. It keeps its time, and the value before the first of its updates. */
export interface HeldChange<K, V> extends SuppressedChange<V> {
  readonly key: K
  /** The key's bytes as latin1 text, which orders as they do. */
  readonly id: string
  readonly timeMs: number
  value: V | null
  final: boolean
  timestamp: number
  headers: readonly RecordHeader[]
  /** Of key and values, as far as they are counted. */
  bytes: number
  /** The store does not have it as it is. */
  isChanged: boolean
  /** It is in the store, too. */
  isStored: boolean
}

/** Changes by key, and in the order in which they leave: by time, then by key bytes. A binary heap: they leave from the top only. */
export class SuppressBuffer<K, V> {
  readonly #byId = new Map<string, HeldChange<K, V>>()
  readonly #heap: HeldChange<K, V>[] = []

  get size(): number {
    return this.#heap.length
  }

  get(id: string): HeldChange<K, V> | undefined {
    return this.#byId.get(id)
  }

  /** The change that leaves next. */
  first(): HeldChange<K, V> | undefined {
    return this.#heap[0]
  }

  /** Adds a change of a key that has none here. */
  add(held: HeldChange<K, V>): void {
    const heap = this.#heap
    this.#byId.set(held.id, held)
    let at = heap.length
    heap.push(held)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !leavesBefore(held, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = held
  }

  /** Takes out the change that leaves next. */
  removeFirst(): void {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return
    this.#byId.delete(first.id)
    if (heap.length > 0) this.#sink(last)
  }

  /** Puts a change at the top and lets it down to its place. */
  #sink(held: HeldChange<K, V>): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      let child = heap[below]
      if (child === undefined) break
      const sibling = heap[below + 1]
      if (sibling !== undefined && leavesBefore(sibling, child)) {
        child = sibling
        below++
      }
      if (!leavesBefore(child, held)) break
      heap[at] = child
      at = below
    }
    heap[at] = held
  }
}

function leavesBefore<K, V>(one: HeldChange<K, V>, other: HeldChange<K, V>): boolean {
  return one.timeMs === other.timeMs ? one.id < other.id : one.timeMs < other.timeMs
}
