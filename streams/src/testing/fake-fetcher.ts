import {
  type FetchedBatches,
  type Fetcher,
  type FetcherOptions,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { FakeLog } from './fake-log.ts'
import type { FakeWaits } from './fake-waits.ts'

interface Position extends TopicPartition {
  offset: number
  paused: boolean
}

/** What a fake fetcher needs of its broker. */
export interface FakeFetcherWorld {
  readonly waits: FakeWaits
  /** Undefined when the topic or the partition does not exist. */
  log(of: TopicPartition): FakeLog | undefined
  /** Throws what a test has asked for; see `FakeBroker.failNext`. */
  perform<T>(operation: 'poll', action: () => T): Promise<T>
}

/** A `Fetcher` over logs in memory; the partitions take turns in being first. */
export class FakeFetcher implements Fetcher {
  readonly #world: FakeFetcherWorld
  readonly #isolation: 'committed' | 'uncommitted'
  readonly #partitionBytesMax: number
  readonly #fetchBytesMax: number
  #positions = new Map<string, Position>()
  #turn = 0
  /** The last poll has returned records, though a partition has failed. */
  #owesError = false
  #polling = false
  #closed = false

  constructor(world: FakeFetcherWorld, options: FetcherOptions) {
    this.#world = world
    this.#isolation = options.isolation ?? 'committed'
    this.#partitionBytesMax = options.partitionBytesMax ?? 1024 * 1024
    this.#fetchBytesMax = options.fetchBytesMax ?? 16 * 1024 * 1024
  }

  assign(positions: readonly (TopicPartition & { readonly offset: number })[]): void {
    this.#positions = new Map(positions.map((position) => [partitionKey(position), { ...position, paused: false }]))
    this.#world.waits.recheck()
  }

  seek(position: TopicPartition & { readonly offset: number }): void {
    const paused = this.#positions.get(partitionKey(position))?.paused ?? false
    this.#positions.set(partitionKey(position), { ...position, paused })
    this.#world.waits.recheck()
  }

  remove(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#positions.delete(partitionKey(partition))
  }

  pause(partition: TopicPartition): void {
    this.#setPaused(partition, true)
  }

  resume(partition: TopicPartition): void {
    this.#setPaused(partition, false)
    this.#world.waits.recheck()
  }

  async poll(maxWaitMs: number): Promise<readonly FetchedBatches[]> {
    if (this.#closed) throw new StreamsError('CLOSED', 'the fetcher is closed')
    if (this.#polling) throw new StreamsError('INVALID_STATE', 'a poll is pending: one owner, one poll')
    this.#polling = true
    try {
      await this.#world.waits.until(() => this.#closed || this.#hasSomething(), maxWaitMs)
      if (this.#closed) return []
      return await this.#world.perform('poll', () => this.#collect())
    } finally {
      this.#polling = false
    }
  }

  position(partition: TopicPartition): number | undefined {
    return this.#positions.get(partitionKey(partition))?.offset
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#world.waits.recheck()
  }

  #setPaused(partition: TopicPartition, paused: boolean): void {
    const position = this.#positions.get(partitionKey(partition))
    if (position !== undefined) position.paused = paused
  }

  /** True also when the poll has an error to throw. */
  #hasSomething(): boolean {
    for (const position of this.#positions.values()) {
      const log = this.#world.log(position)
      if (position.paused) continue
      if (log === undefined || !this.#isInLog(position)) return true
      if (position.offset < (this.#isolation === 'committed' ? log.lastStableOffset : log.highWatermark)) return true
    }
    return false
  }

  /** Errors come after what was read: by this poll when nothing was, else by the next one. */
  #collect(): readonly FetchedBatches[] {
    const isOwed = this.#owesError
    this.#owesError = false
    const found: FetchedBatches[] = []
    let bytesLeft = this.#fetchBytesMax
    const positions = [...this.#positions.values()]
    const turn = this.#turn++
    if (isOwed) for (const position of positions) if (!position.paused) this.#requireInLog(position)
    for (let i = 0; i < positions.length && bytesLeft > 0; i++) {
      const position = positions[(turn + i) % positions.length]
      if (position === undefined || position.paused || !this.#isInLog(position)) continue
      const fetched = this.#read(position, Math.min(bytesLeft, this.#partitionBytesMax))
      if (fetched === undefined) continue
      found.push(fetched)
      bytesLeft -= fetched.bytes.length
    }
    if (found.length === 0) for (const position of positions) if (!position.paused) this.#requireInLog(position)
    this.#owesError = true
    return found
  }

  #isInLog(position: Position): boolean {
    const log = this.#world.log(position)
    return log !== undefined && position.offset >= log.startOffset && position.offset <= log.highWatermark
  }

  #requireInLog({ topic, partition, offset }: Position): FakeLog {
    const log = this.#world.log({ topic, partition })
    if (log === undefined)
      throw new StreamsError('TOPIC_MISSING', `${topic}-${partition} does not exist`, { topic, partition })
    if (offset >= log.startOffset && offset <= log.highWatermark) return log
    const bounds = `the log has ${log.startOffset} to ${log.highWatermark}`
    throw new StreamsError('OFFSET_OUT_OF_RANGE', `${topic}-${partition} has no offset ${offset}: ${bounds}`, {
      topic,
      partition,
      offset,
    })
  }

  #read(position: Position, bytesMax: number): FetchedBatches | undefined {
    const { topic, partition, offset } = position
    const log = this.#requireInLog(position)
    const slice = log.slice(offset, this.#isolation, bytesMax)
    if (slice.bytes.length === 0) return undefined
    position.offset = slice.nextOffset
    return {
      topic,
      partition,
      fetchOffset: offset,
      bytes: slice.bytes,
      highWatermark: log.highWatermark,
      lastStableOffset: log.lastStableOffset,
      abortedTransactions: slice.abortedTransactions,
    }
  }
}
