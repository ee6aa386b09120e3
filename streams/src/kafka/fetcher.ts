import {
  type FetchedBatches,
  type Fetcher,
  type FetcherOptions,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { batchCodec } from './batch-codec.ts'
import type { Cluster } from './cluster.ts'
import { FetchedPartition } from './fetched-partition.ts'
import { kafkaLimits } from './limits.ts'
import { errorCode, isPassing, refusal, translate } from './protocol-error.ts'
import { type RawFetchedPartition, rawFetch } from './raw-fetch.ts'
import { backoffMs, pause } from './retry.ts'

/**
 * Two lanes per broker, each with a connection and one request at a time. `fetch` asks for partitions that have more to read, and is
 * answered at once; `tail` asks for those at their end, and is held by the broker until something comes. In one lane, a partition with much
 * to read would wait for the quiet ones.
 */
type Lane = 'fetch' | 'tail'

/** What one request asks for. */
interface Ask {
  readonly leader: number
  readonly lane: Lane
  readonly partitions: FetchedPartition[]
}

type FetchPartitionRequest = Parameters<typeof rawFetch.async>[7][number]['partitions'][number]

/** Every request names all it asks for: sessions would save bytes, and have their own ways to fail. */
const noSession = { id: 0, epoch: -1 } as const

/** Kafka's numbers of the isolation levels. */
const isolationLevels = { uncommitted: 0, committed: 1 } as const

/** Reads partitions as raw record batches, ahead of the polls, within the bounds of its buffer. */
export class KafkaFetcher implements Fetcher {
  readonly #cluster: Cluster
  readonly #isolation: 'committed' | 'uncommitted'
  readonly #partitionBytesMax: number
  readonly #fetchBytesMax: number
  #partitions = new Map<string, FetchedPartition>()
  /** Lanes with a request in flight. */
  readonly #busy = new Set<string>()
  #bufferedBytes = 0
  #turn = 0
  #refreshing: Promise<void> | undefined
  #failures = 0
  #refreshAttempts = 0
  #closed = false
  #polling = false
  /** Ends the wait of a pending poll. */
  #wake: (() => void) | undefined
  /** The last poll has returned records, though a partition has failed: among busy ones it would never be heard of. */
  #owesError = false
  /** Why a poll must fail when it has nothing to return. */
  #failure: StreamsError | undefined

  constructor(cluster: Cluster, options: FetcherOptions) {
    this.#cluster = cluster
    this.#isolation = options.isolation ?? 'committed'
    this.#partitionBytesMax = options.partitionBytesMax ?? 1024 * 1024
    this.#fetchBytesMax = options.fetchBytesMax ?? 16 * 1024 * 1024
  }

  assign(positions: readonly (TopicPartition & { readonly offset: number })[]): void {
    this.#bufferedBytes = 0
    this.#partitions = new Map(positions.map((position) => [partitionKey(position), new FetchedPartition(position)]))
    this.#pump()
  }

  seek(position: TopicPartition & { readonly offset: number }): void {
    const before = this.#partitions.get(partitionKey(position))
    const partition = new FetchedPartition(position)
    partition.paused = before?.paused ?? false
    this.#bufferedBytes -= before?.bufferedBytes ?? 0
    this.#partitions.set(partitionKey(position), partition)
    this.#pump()
  }

  remove(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.#bufferedBytes -= this.#partitions.get(partitionKey(partition))?.bufferedBytes ?? 0
      this.#partitions.delete(partitionKey(partition))
    }
  }

  pause(partition: TopicPartition): void {
    const known = this.#partitions.get(partitionKey(partition))
    if (known !== undefined) known.paused = true
  }

  resume(partition: TopicPartition): void {
    const known = this.#partitions.get(partitionKey(partition))
    if (known === undefined) return
    known.paused = false
    this.#wake?.()
    this.#pump()
  }

  position(partition: TopicPartition): number | undefined {
    return this.#partitions.get(partitionKey(partition))?.position
  }

  async poll(maxWaitMs: number): Promise<readonly FetchedBatches[]> {
    if (this.#closed) throw new StreamsError('CLOSED', 'the fetcher is closed')
    if (this.#polling) throw new StreamsError('INVALID_STATE', 'a poll is pending: one owner, one poll')
    this.#polling = true
    try {
      if (!this.#hasNews()) await this.#waitForNews(maxWaitMs)
      return this.#closed ? [] : this.#collect()
    } finally {
      this.#polling = false
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake?.()
    await this.#cluster.close()
  }

  #hasNews(): boolean {
    if (this.#failure !== undefined) return true
    for (const { paused, buffered, error } of this.#partitions.values())
      if (!paused && (buffered.length > 0 || error !== undefined)) return true
    return false
  }

  async #waitForNews(maxWaitMs: number): Promise<void> {
    const deadlineMs = performance.now() + maxWaitMs
    while (!this.#closed && !this.#hasNews()) {
      const leftMs = deadlineMs - performance.now()
      if (leftMs <= 0) return
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        timer = setTimeout(resolve, leftMs)
      })
      clearTimeout(timer)
      this.#wake = undefined
    }
  }

  /** Takes what is buffered, partitions in turn, up to one response's bytes. Throws when there is nothing but an error. */
  #collect(): readonly FetchedBatches[] {
    if (this.#owesError) this.#throwPartitionError()
    const found: FetchedBatches[] = []
    let bytes = 0
    for (const partition of this.#inTurn()) {
      if (partition.paused) continue
      for (let batches = partition.take(); batches !== undefined; batches = partition.take()) {
        found.push(batches)
        bytes += batches.bytes.length
        if (bytes >= this.#fetchBytesMax) break
      }
      if (bytes >= this.#fetchBytesMax) break
    }
    this.#bufferedBytes -= bytes
    if (found.length === 0) this.#throwError()
    this.#owesError = true
    this.#pump()
    return found
  }

  #throwPartitionError(): void {
    this.#owesError = false
    for (const { paused, error } of this.#partitions.values()) if (!paused && error !== undefined) throw error
  }

  #throwError(): void {
    this.#throwPartitionError()
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }

  /** The partitions, each time beginning with another one: a broker fills its response in the order it is asked. */
  #inTurn(): readonly FetchedPartition[] {
    const all = [...this.#partitions.values()]
    const first = all.length === 0 ? 0 : this.#turn++ % all.length
    return [...all.slice(first), ...all.slice(0, first)]
  }

  /** Sends a request in every lane that has none in flight and something to ask. */
  #pump(): void {
    if (this.#closed || this.#bufferedBytes >= kafkaLimits.fetchBufferBytesMax) return
    const wanted = new Map<string, Ask>()
    let isLeaderMissing = false
    for (const partition of this.#inTurn()) {
      if (!partition.isWanted(this.#partitionBytesMax)) continue
      const leader = this.#leaderOf(partition)
      if (leader === undefined) {
        isLeaderMissing = true
        continue
      }
      const lane = partition.isBehind === false ? 'tail' : 'fetch'
      const key = `${leader}/${lane}`
      const ask = wanted.get(key)
      if (ask === undefined) wanted.set(key, { leader, lane, partitions: [partition] })
      else ask.partitions.push(partition)
    }
    if (isLeaderMissing) void this.#refresh()
    for (const [key, ask] of wanted) if (!this.#busy.has(key)) void this.#fetch(key, ask)
  }

  /** One request of a lane, then the next. Never rejects: every outcome ends in the state of the partitions. */
  async #fetch(key: string, ask: Ask): Promise<void> {
    this.#busy.add(key)
    for (const partition of ask.partitions) partition.inFlight = true
    let isRefreshNeeded = false
    try {
      isRefreshNeeded = await this.#request(ask)
      if (isRefreshNeeded)
        this.#markUnavailable(ask.partitions.filter(({ unavailableSinceMs }) => unavailableSinceMs !== undefined))
      this.#failures = 0
    } catch (error) {
      const failure = translate(error, `fetching from broker ${ask.leader}`)
      if (failure.code !== 'BROKER_UNAVAILABLE') this.#failure = failure
      this.#markUnavailable(ask.partitions)
      isRefreshNeeded = true
    }
    for (const partition of ask.partitions) partition.inFlight = false
    if (isRefreshNeeded) {
      await this.#refresh()
      await pause(backoffMs(this.#failures++, this.#cluster.random), this.#cluster.signal).catch(() => {}) // only closing ends the pause early
    }
    this.#busy.delete(key)
    this.#wake?.()
    this.#pump()
  }

  /** Sends one request and takes in its response; true when it shows that the metadata are stale. */
  async #request({ leader, lane, partitions }: Ask): Promise<boolean> {
    const connection = await this.#cluster.connection(leader, lane)
    const asked = new Map<string, FetchedPartition>()
    const offsets = new Map<FetchedPartition, number>()
    const topics = new Map<string, FetchPartitionRequest[]>()
    for (const partition of partitions) {
      const topicId = partition.topicId ?? ''
      asked.set(`${topicId}/${partition.partition}`, partition)
      offsets.set(partition, partition.fetchOffset)
      const entry = {
        partition: partition.partition,
        currentLeaderEpoch: this.#cluster.known(partition.topic)?.partitions[partition.partition]?.leaderEpoch ?? -1,
        fetchOffset: BigInt(partition.fetchOffset),
        lastFetchedEpoch: -1,
        partitionMaxBytes: this.#partitionBytesMax,
      }
      const known = topics.get(topicId)
      if (known === undefined) topics.set(topicId, [entry])
      else known.push(entry)
    }
    const response = await rawFetch.async(
      connection,
      lane === 'tail' ? kafkaLimits.fetchWaitMs : 0,
      1,
      this.#fetchBytesMax,
      isolationLevels[this.#isolation],
      noSession.id,
      noSession.epoch,
      [...topics].map(([topicId, entries]) => ({ topicId, partitions: entries })),
      [],
      '',
    )
    if (response.errorCode !== errorCode.none) throw refusal(response.errorCode, `fetching from broker ${leader}`)
    let isStale = false
    for (const fetched of response.partitions) {
      const partition = asked.get(`${fetched.topicId}/${fetched.partition}`)
      // Meanwhile it may have been removed, or moved to another offset.
      if (partition === undefined || this.#partitions.get(partitionKey(partition)) !== partition) continue
      if (offsets.get(partition) === partition.fetchOffset && this.#takeIn(partition, fetched)) isStale = true
    }
    return isStale
  }

  /** Takes in one partition's answer; true when it shows that the metadata are stale. */
  #takeIn(partition: FetchedPartition, fetched: RawFetchedPartition): boolean {
    const { topic, partition: number, fetchOffset } = partition
    if (fetched.errorCode !== errorCode.none) {
      if (isPassing(fetched.errorCode)) {
        partition.unavailableSinceMs ??= performance.now()
        return true
      }
      const context = { topic, partition: number, offset: fetchOffset }
      partition.error = refusal(
        fetched.errorCode,
        `fetching ${partitionKey(partition)} from offset ${fetchOffset}`,
        context,
      )
      return false
    }
    partition.unavailableSinceMs = undefined
    if (this.#failure?.code === 'BROKER_UNAVAILABLE') this.#failure = undefined
    const { bytes, highWatermark, lastStableOffset, abortedTransactions } = fetched
    if (bytes.length > 0) {
      partition.buffer(
        {
          topic,
          partition: number,
          fetchOffset,
          bytes,
          highWatermark,
          lastStableOffset,
          abortedTransactions,
          codec: batchCodec,
        },
        Math.max(fetched.nextOffset, fetchOffset),
      )
      this.#bufferedBytes += bytes.length
    }
    partition.isBehind = partition.fetchOffset < (this.#isolation === 'committed' ? lastStableOffset : highWatermark)
    return false
  }

  /** The leader to ask; undefined, with the partition's state set, when there is none or the topic is another one now. */
  #leaderOf(partition: FetchedPartition): number | undefined {
    const known = this.#cluster.known(partition.topic)
    if (known === undefined || known.partitions[partition.partition] === undefined) return undefined
    partition.missingSinceMs = undefined
    partition.topicId ??= known.id
    if (partition.topicId !== known.id) {
      partition.error = missing(partition, 'was deleted and created again')
      this.#wake?.()
      return undefined
    }
    return this.#cluster.leaderOf(partition)
  }

  #markUnavailable(partitions: readonly FetchedPartition[]): void {
    const nowMs = performance.now()
    for (const partition of partitions) {
      partition.unavailableSinceMs ??= nowMs
      if (nowMs - partition.unavailableSinceMs < kafkaLimits.fetchUnavailableAfterMs) continue
      partition.unavailableSinceMs = nowMs
      const text = `the leader of ${partitionKey(partition)} cannot be reached for ${kafkaLimits.fetchUnavailableAfterMs} ms`
      this.#failure = new StreamsError('BROKER_UNAVAILABLE', text, {
        topic: partition.topic,
        partition: partition.partition,
      })
    }
  }

  /** Asks again who leads what, one request at a time. Never rejects. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#runRefresh().finally(() => {
      this.#refreshing = undefined
      this.#wake?.()
      this.#pump()
    })
    return this.#refreshing
  }

  async #runRefresh(): Promise<void> {
    try {
      if (this.#refreshAttempts > 0)
        await pause(backoffMs(this.#refreshAttempts, this.#cluster.random), this.#cluster.signal)
      this.#refreshAttempts++
      await this.#cluster.refresh([...new Set([...this.#partitions.values()].map(({ topic }) => topic))])
    } catch (error) {
      const failure = translate(error, 'reading metadata')
      if (failure.code !== 'BROKER_UNAVAILABLE' && failure.code !== 'CLOSED') this.#failure = failure
      this.#markUnavailable([...this.#partitions.values()])
      return
    }
    const nowMs = performance.now()
    let areAllLed = true
    for (const partition of this.#partitions.values()) {
      if (this.#leaderOf(partition) !== undefined) continue
      areAllLed = false
      if (this.#cluster.known(partition.topic)?.partitions[partition.partition] === undefined)
        this.#markMissing(partition, nowMs)
      else this.#markUnavailable([partition])
    }
    if (areAllLed) this.#refreshAttempts = 0
  }

  #markMissing(partition: FetchedPartition, nowMs: number): void {
    partition.missingSinceMs ??= nowMs
    if (nowMs - partition.missingSinceMs >= kafkaLimits.topicMissingAfterMs)
      partition.error ??= missing(partition, 'does not exist in the cluster')
  }
}

function missing({ topic, partition }: TopicPartition, what: string): StreamsError {
  return new StreamsError('TOPIC_MISSING', `${topic}-${partition} ${what}`, { topic, partition })
}
