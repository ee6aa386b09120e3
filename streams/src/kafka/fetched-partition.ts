import type { FetchedBatches, TopicPartition } from '../core/broker.ts'
import type { StreamsError } from '../core/errors.ts'

/**
 * A partition that a fetcher reads. A seek puts a new object in its place, so that what is still on its way for the old one is recognised
 * and dropped.
 */
export class FetchedPartition implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** The next offset that `poll` returns. */
  position: number
  /** The next offset to ask the broker for. */
  fetchOffset: number
  paused = false
  /** In a request that is not answered yet. */
  inFlight = false
  /** Whether the broker has more beyond `fetchOffset`; undefined before the first answer. */
  isBehind: boolean | undefined
  /** What was fetched and not polled, in order. */
  readonly buffered: FetchedBatches[] = []
  bufferedBytes = 0
  /** Thrown by every poll until the owner seeks or removes the partition. */
  error: StreamsError | undefined
  /** Since when the cluster does not know it. */
  missingSinceMs: number | undefined
  /** Since when its leader cannot be reached, or there is none. */
  unavailableSinceMs: number | undefined
  /** The topic's id when it was first read: another one means another topic of the same name. */
  topicId: string | undefined

  constructor({ topic, partition, offset }: TopicPartition & { readonly offset: number }) {
    this.topic = topic
    this.partition = partition
    this.position = offset
    this.fetchOffset = offset
  }

  /** True when a request may ask for it. */
  isWanted(bytesMax: number): boolean {
    return !this.paused && !this.inFlight && this.error === undefined && this.bufferedBytes < bytesMax
  }

  /** Keeps what was fetched for the next poll. */
  buffer(batches: FetchedBatches, nextOffset: number): void {
    this.buffered.push(batches)
    this.bufferedBytes += batches.bytes.length
    this.fetchOffset = nextOffset
  }

  /** Hands out the oldest that is buffered. */
  take(): FetchedBatches | undefined {
    const batches = this.buffered.shift()
    if (batches === undefined) return undefined
    this.bufferedBytes -= batches.bytes.length
    this.position = this.buffered[0]?.fetchOffset ?? this.fetchOffset
    return batches
  }
}
