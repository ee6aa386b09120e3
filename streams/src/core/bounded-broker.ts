import {
  type Admin,
  type Broker,
  type FetchedBatches,
  type Fetcher,
  partitionKey,
  type TopicPartition,
} from './broker.ts'

/** Offsets of one partition. */
export interface OffsetRange extends TopicPartition {
  readonly firstOffset: number
  /** The offset after the last one. */
  readonly nextOffset: number
}

type Ranges = ReadonlyMap<string, OffsetRange>

/**
 * The same broker, but some partitions seem to hold no more than a range of their records: whoever reads them from their beginning begins there, and comes to their end there. For a program that processes
 * a part of a topic again, in a group of its own (what Flink calls a bounded source). Partitions without a range are whole; writing and committing are as ever.
 */
export function boundedBroker(broker: Broker, ranges: readonly OffsetRange[]): Broker {
  const byKey: Ranges = new Map(ranges.map((range) => [partitionKey(range), range]))
  return {
    openFetcher: async (options) => new BoundedFetcher(await broker.openFetcher(options), byKey),
    openGroupMember: (options) => broker.openGroupMember(options),
    openProducer: (options) => broker.openProducer(options),
    openTransactionalProducer: (options) => broker.openTransactionalProducer(options),
    openAdmin: async () => boundedAdmin(await broker.openAdmin(), byKey),
  }
}

class BoundedFetcher implements Fetcher {
  readonly #fetcher: Fetcher
  readonly #ranges: Ranges
  /** Partitions that are read to the ends of their ranges: nothing is asked of them any more. */
  readonly #ended = new Set<string>()

  constructor(fetcher: Fetcher, ranges: Ranges) {
    this.#fetcher = fetcher
    this.#ranges = ranges
  }

  assign(positions: readonly (TopicPartition & { readonly offset: number })[]): void {
    this.#ended.clear()
    this.#fetcher.assign(positions)
    for (const position of positions) this.#endAt(position, position.offset)
  }

  seek(position: TopicPartition & { readonly offset: number }): void {
    this.#fetcher.seek(position)
    if (this.#ended.delete(partitionKey(position))) this.#fetcher.resume(position)
    this.#endAt(position, position.offset)
  }

  remove(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#ended.delete(partitionKey(partition))
    this.#fetcher.remove(partitions)
  }

  pause(partition: TopicPartition): void {
    this.#fetcher.pause(partition)
  }

  resume(partition: TopicPartition): void {
    if (!this.#ended.has(partitionKey(partition))) this.#fetcher.resume(partition)
  }

  async poll(maxWaitMs: number): Promise<readonly FetchedBatches[]> {
    const found: FetchedBatches[] = []
    for (const fetched of await this.#fetcher.poll(maxWaitMs)) {
      const range = this.#ranges.get(partitionKey(fetched))
      if (range === undefined) {
        found.push(fetched)
        continue
      }
      const { nextOffset: endOffset } = range
      this.#endAt(fetched, this.#fetcher.position(fetched) ?? fetched.fetchOffset)
      // Was under way when the range came to its end.
      if (fetched.fetchOffset >= endOffset) continue
      found.push({
        ...fetched,
        endOffset,
        highWatermark: Math.min(fetched.highWatermark, endOffset),
        lastStableOffset: Math.min(fetched.lastStableOffset, endOffset),
      })
    }
    return found
  }

  position(partition: TopicPartition): number | undefined {
    const position = this.#fetcher.position(partition)
    const range = this.#ranges.get(partitionKey(partition))
    return position === undefined || range === undefined ? position : Math.min(position, range.nextOffset)
  }

  close(): Promise<void> {
    return this.#fetcher.close()
  }

  #endAt(partition: TopicPartition, offset: number): void {
    const key = partitionKey(partition)
    const range = this.#ranges.get(key)
    if (range === undefined || offset < range.nextOffset || this.#ended.has(key)) return
    this.#ended.add(key)
    this.#fetcher.pause(partition)
  }
}

function boundedAdmin(admin: Admin, ranges: Ranges): Admin {
  return {
    createTopics: (topics) => admin.createTopics(topics),
    describeTopics: (names) => admin.describeTopics(names),
    async listOffsets(partitions, at) {
      const offsets = new Map(await admin.listOffsets(partitions, at))
      for (const [key, offset] of offsets) {
        const range = ranges.get(key)
        if (range !== undefined) offsets.set(key, Math.min(Math.max(offset, range.firstOffset), range.nextOffset))
      }
      return offsets
    },
    deleteTopics: (names) => admin.deleteTopics(names),
    deleteRecords: (before) => admin.deleteRecords(before),
    close: () => admin.close(),
  }
}
