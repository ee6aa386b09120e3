import type { AbortedTransaction } from '../core/broker.ts'
import { encodeControlBatch, placeBatch } from '../core/record-batch.ts'

interface PlacedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly bytes: Buffer
}

/** What a fake fetch found. */
export interface LogSlice {
  readonly bytes: Buffer
  /** Where to go on; the asked offset when nothing was there. */
  readonly nextOffset: number
  readonly abortedTransactions: readonly AbortedTransaction[]
}

/** One partition's log in memory, with Kafka's bytes, transactions and control batches. */
export class FakeLog {
  startOffset = 0
  highWatermark = 0
  readonly #batches: PlacedBatch[] = []
  /** First offset of each producer's open transaction. */
  readonly #open = new Map<number, number>()
  readonly #aborted: (AbortedTransaction & { readonly lastOffset: number })[] = []

  /** The offset that readers under `committed` do not pass. */
  get lastStableOffset(): number {
    return Math.min(this.highWatermark, ...this.#open.values())
  }

  /** Appends a batch of `count` records; `transactionOf` is the producer whose transaction it belongs to. Returns the base offset. */
  append(bytes: Buffer, count: number, transactionOf?: number): number {
    const baseOffset = this.highWatermark
    placeBatch(bytes, baseOffset)
    this.#batches.push({ baseOffset, lastOffset: baseOffset + count - 1, bytes })
    this.highWatermark += count
    if (transactionOf !== undefined && !this.#open.has(transactionOf)) this.#open.set(transactionOf, baseOffset)
    return baseOffset
  }

  /** Writes the marker that ends a producer's transaction; one offset, as in Kafka. */
  endTransaction(
    outcome: 'commit' | 'abort',
    producer: { readonly id: number; readonly epoch: number },
    nowMs: number,
  ): void {
    const firstOffset = this.#open.get(producer.id)
    const lastOffset = this.append(encodeControlBatch(outcome, producer, nowMs), 1)
    this.#open.delete(producer.id)
    if (outcome === 'abort' && firstOffset !== undefined)
      this.#aborted.push({ producerId: BigInt(producer.id), firstOffset, lastOffset })
  }

  /** Whole batches from the one that holds `offset` on; at least one when there is any, however large. */
  slice(offset: number, isolation: 'committed' | 'uncommitted', bytesMax: number): LogSlice {
    const end = isolation === 'committed' ? this.lastStableOffset : this.highWatermark
    const found: Buffer[] = []
    let bytes = 0
    let nextOffset = offset
    for (const batch of this.#batches) {
      if (batch.lastOffset < offset) continue
      if (batch.baseOffset >= end || (bytes > 0 && bytes + batch.bytes.length > bytesMax)) break
      found.push(batch.bytes)
      bytes += batch.bytes.length
      nextOffset = batch.lastOffset + 1
    }
    const aborted = this.#aborted.filter((one) => one.lastOffset >= offset && one.firstOffset < nextOffset)
    return {
      bytes: Buffer.concat(found),
      nextOffset,
      abortedTransactions: isolation === 'uncommitted' ? [] : aborted.sort((a, b) => a.firstOffset - b.firstOffset),
    }
  }

  /** Deletes what is before `offset`, as retention does. */
  truncateBefore(offset: number): void {
    this.startOffset = Math.min(Math.max(offset, this.startOffset), this.highWatermark)
    while (this.#batches[0] !== undefined && this.#batches[0].lastOffset < this.startOffset) this.#batches.shift()
  }
}
