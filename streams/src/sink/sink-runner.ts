import {
  type Admin,
  type Broker,
  type FetchedBatches,
  type Fetcher,
  type FetcherOptions,
  type GroupListener,
  type GroupMember,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import type { BatchSink, OffsetKeeper, SinkPosition } from './batch-sink.ts'
import { sinkLimits } from './limits.ts'
import {
  type BatchLimits,
  isRetryable,
  type PartitionLag,
  PartitionSink,
  type PartitionSinkContext,
  type SinkProbe,
} from './partition-sink.ts'
import { WriteSlots } from './write-slots.ts'

/** What a runner needs. */
export interface SinkRunnerOptions {
  readonly broker: Broker
  readonly clientId: string
  readonly groupId: string
  /** Static membership: who comes back under this name within the session timeout gets its partitions back at once. Of one process of the group at a time. */
  readonly groupInstanceId?: string | undefined
  readonly topic: string
  readonly sink: BatchSink
  /** `intentOffsets` or `storedOffsets`, for the runner's own group member. */
  readonly offsets: (member: GroupMember) => OffsetKeeper
  readonly limits: BatchLimits
  /** Default 64 MiB. */
  readonly bufferBytesMax?: number
  /** Default 4. */
  readonly writesMax?: number
  readonly fetch?: Pick<FetcherOptions, 'fetchBytesMax' | 'partitionBytesMax'>
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: SinkProbe
  /** Waits before attempt `attempt + 1` of whatever failed; rejects when the signal aborts. Bounded and jittered, please. */
  pause(attempt: number, signal: AbortSignal): Promise<void>
}

/** A topic on its way into a store, by one member of a group. */
export interface SinkRunner {
  /** Resolves when the member has joined its group. */
  start(): Promise<void>
  /** The error that ended the runner; resolves never otherwise. */
  readonly failed: Promise<unknown>
  /** How far each assigned partition is. */
  lags(): readonly PartitionLag[]
  /** Asks the cluster where the logs end, for `lags`: paused partitions are not fetched, and would look as if nothing came in. */
  refreshEnds(): Promise<void>
  /** False when the loop is stuck. */
  isLive(): boolean
  /** True when joined and the last poll went well. */
  isReady(): boolean
  /**
   * Writes what was taken in, within `deadlineMs`, then leaves the group, unless it is a static member; idempotent. What is not written in time is read
   * again by the next owner.
   */
  close(deadlineMs: number): Promise<void>
}

/** Makes a runner; `start` begins. */
export function createSinkRunner(options: SinkRunnerOptions): SinkRunner {
  return new Runner(options)
}

/** What is open between `start` and `close`. */
interface Connections {
  readonly fetcher: Fetcher
  readonly member: GroupMember
  readonly admin: Admin
  readonly context: PartitionSinkContext
}

class Runner implements SinkRunner {
  readonly failed: Promise<unknown>
  readonly #options: SinkRunnerOptions
  readonly #fail: (error: unknown) => void
  readonly #abort = new AbortController()
  readonly #cursor = new RecordCursor()
  /** Partitions that are ours, with the number of the assignment that brought them. */
  readonly #owned = new Map<string, number>()
  /** Those of them whose position is known. */
  readonly #partitions = new Map<string, PartitionSink>()
  #connections: Connections | undefined
  #assignments = 0
  #loop: Promise<void> | undefined
  #closed: Promise<void> | undefined
  #lastTurnMs: number
  #pollFailures = 0
  #isOverBuffer = false

  constructor(options: SinkRunnerOptions) {
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.failed = promise
    this.#fail = (error) => {
      resolve(error)
      this.#abort.abort()
      for (const partition of this.#partitions.values()) partition.release()
    }
    this.#lastTurnMs = options.clock.nowMs()
  }

  async start(): Promise<void> {
    if (this.#connections !== undefined) throw new StreamsError('INVALID_STATE', 'a sink runner starts once')
    const { broker, clientId, groupId, groupInstanceId, topic } = this.#options
    const admin = await broker.openAdmin()
    const fetcher = await broker.openFetcher({ clientId, ...this.#options.fetch })
    // Cooperative: partitions that stay are written on while the group rebalances.
    const member = await broker.openGroupMember({
      clientId,
      groupId,
      rebalance: 'cooperative',
      ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
    })
    this.#connections = { admin, fetcher, member, context: this.#makeContext(member) }
    void member.failed.then((error) => this.#fail(error))
    await member.join([topic], this.#listener(this.#connections))
    this.#loop = this.#run(this.#connections)
  }

  lags(): readonly PartitionLag[] {
    return [...this.#partitions.values()].map((partition) => partition.lag)
  }

  async refreshEnds(): Promise<void> {
    const partitions = [...this.#partitions.values()]
    if (partitions.length === 0 || this.#connections === undefined) return
    const ends = await this.#connections.admin.listOffsets(partitions, 'latestCommitted')
    for (const partition of partitions) {
      partition.endOffset = ends.get(partitionKey(partition)) ?? partition.endOffset
    }
  }

  isLive(): boolean {
    return this.#options.clock.nowMs() - this.#lastTurnMs < sinkLimits.stalledAfterMs
  }

  isReady(): boolean {
    return this.#loop !== undefined && this.#pollFailures === 0 && !this.#abort.signal.aborted
  }

  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#close(deadlineMs)
    return this.#closed
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#abort.abort()
    if (this.#connections === undefined) return
    const { fetcher, member, admin, context } = this.#connections
    await fetcher.close()
    await this.#loop
    const partitions = [...this.#partitions.values()]
    await within(deadlineMs, Promise.all(partitions.map((partition) => partition.drain())))
    for (const partition of partitions) partition.release()
    await context.keeper.flush(partitions)
    await member.close()
    await admin.close()
  }

  #makeContext(member: GroupMember): PartitionSinkContext {
    const { limits, sink, offsets, clock, probe, writesMax = sinkLimits.writesMax } = this.#options
    return {
      limits,
      sink,
      keeper: offsets(member),
      slots: new WriteSlots(writesMax),
      spares: [],
      clock,
      probe,
      pause: (attempt, signal) => this.#options.pause(attempt, signal),
      onRoom: () => this.#updatePauses(),
      onRefused: (partition) => this.#beginAgain(partition),
      onFailed: (error) => this.#fail(error),
    }
  }

  #listener(connections: Connections): GroupListener {
    return {
      onAssigned: async (partitions) => {
        const serial = ++this.#assignments
        const fresh = partitions.filter((of) => !this.#owned.has(partitionKey(of)))
        for (const of of fresh) this.#owned.set(partitionKey(of), serial)
        this.#log('partitions assigned', partitions)
        // Not awaited: a store that is away must not hold up the group's rebalance.
        this.#begin(connections, { partitions: fresh, serial }).catch((error: unknown) => {
          if (!this.#abort.signal.aborted) this.#fail(error)
        })
      },
      onRevoked: async (partitions) => {
        this.#log('partitions revoked', partitions)
        const given = this.#takeAway(connections.fetcher, partitions)
        await within(sinkLimits.revokeWaitMs, Promise.all(given.map((partition) => partition.settle())))
        for (const partition of given) partition.release()
        await connections.context.keeper.flush(given)
      },
      onLost: async (partitions) => {
        this.#log('partitions lost', partitions)
        for (const partition of this.#takeAway(connections.fetcher, partitions)) partition.release()
      },
    }
  }

  /** A cooperative member keeps what it has when a commit is refused: it looks anew where to go on, until it is told that the partition is not its own. */
  #beginAgain(partition: PartitionSink): void {
    const key = partitionKey(partition)
    if (this.#connections === undefined || this.#abort.signal.aborted || this.#partitions.get(key) !== partition) return
    const connections = this.#connections
    const { topic, partition: number } = partition
    const of = { topic, partition: number }
    const serial = ++this.#assignments
    connections.fetcher.remove([of])
    this.#partitions.delete(key)
    this.#owned.set(key, serial)
    this.#log('a commit was refused: looking where to go on', [of])
    this.#options
      .pause(1, this.#abort.signal)
      .then(() => this.#begin(connections, { partitions: [of], serial }))
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) this.#fail(error)
      })
  }

  #takeAway(fetcher: Fetcher, partitions: readonly TopicPartition[]): readonly PartitionSink[] {
    fetcher.remove(partitions)
    const given: PartitionSink[] = []
    for (const of of partitions) {
      const key = partitionKey(of)
      const partition = this.#partitions.get(key)
      if (partition !== undefined) given.push(partition)
      this.#partitions.delete(key)
      this.#owned.delete(key)
    }
    return given
  }

  /** Finds out where to go on, for as long as that takes, and starts fetching. */
  async #begin(
    connections: Connections,
    { partitions, serial }: { partitions: readonly TopicPartition[]; serial: number },
  ): Promise<void> {
    const isOurs = (of: TopicPartition) => this.#owned.get(partitionKey(of)) === serial
    const { signal } = this.#abort
    for (let attempt = 1; partitions.some(isOurs); attempt++) {
      try {
        const positions = await this.#findPositions(connections, partitions)
        for (const of of partitions) {
          const position = positions.get(of.partition)
          if (position === undefined || !isOurs(of)) continue
          this.#partitions.set(partitionKey(of), new PartitionSink(of, position, connections.context))
          connections.fetcher.seek({ topic: of.topic, partition: of.partition, offset: position.offset })
        }
        return
      } catch (error) {
        if (signal.aborted || (!isRetryable(error) && !hasCode(error, 'REBALANCED'))) throw error
        const fields = { err: error, topic: this.#options.topic, group_id: this.#options.groupId, attempt }
        this.#options.logger.warn(fields, 'cannot find out where to go on: trying again')
        await this.#options.pause(attempt, signal)
      }
    }
  }

  async #findPositions(
    { admin, context }: Connections,
    partitions: readonly TopicPartition[],
  ): Promise<ReadonlyMap<number, SinkPosition>> {
    const known = await context.keeper.positions(partitions)
    const starts = await admin.listOffsets(partitions, 'earliest')
    const ends = await admin.listOffsets(partitions, 'latest')
    const positions = new Map<number, SinkPosition>()
    for (const of of partitions) {
      const start = starts.get(partitionKey(of)) ?? 0
      const position = known.get(of.partition) ?? { offset: start }
      checkWithinLog(of, position.repeat?.nextOffset ?? position.offset, ends.get(partitionKey(of)))
      positions.set(of.partition, position)
    }
    return positions
  }

  async #run(connections: Connections): Promise<void> {
    const { signal } = this.#abort
    const { clock, pause } = this.#options
    while (!signal.aborted) {
      this.#lastTurnMs = clock.nowMs()
      try {
        for (const fetched of await connections.fetcher.poll(this.#pollWaitMs())) this.#take(connections, fetched)
        this.#pollFailures = 0
      } catch (error) {
        if (signal.aborted) break
        try {
          if (await this.#recover(connections, error)) continue
          this.#pollFailures++
          const fields = { err: error, topic: this.#options.topic, attempt: this.#pollFailures }
          this.#options.logger.warn(fields, 'cannot fetch: trying again')
          await pause(this.#pollFailures, signal)
        } catch (fatal) {
          if (!signal.aborted) this.#fail(fatal)
          break
        }
      }
      this.#updatePauses()
      const nowMs = clock.nowMs()
      for (const partition of this.#partitions.values()) partition.flush(nowMs)
    }
  }

  #pollWaitMs(): number {
    const nowMs = this.#options.clock.nowMs()
    let waitMs: number = sinkLimits.pollWaitMs
    for (const { dueAtMs } of this.#partitions.values()) {
      if (dueAtMs !== undefined) waitMs = Math.min(waitMs, Math.max(0, dueAtMs - nowMs))
    }
    return waitMs
  }

  #take({ fetcher }: Connections, fetched: FetchedBatches): void {
    const partition = this.#partitions.get(partitionKey(fetched))
    if (partition === undefined) return // given up while the poll was pending
    if (fetched.fetchOffset === partition.nextOffset) {
      partition.misplacedFetches = 0
      partition.take(fetched, this.#cursor)
      return
    }
    // Fetched for an earlier assignment of the same partition: what we are waiting for is asked for again.
    const { topic, partition: number, nextOffset: offset } = partition
    if (++partition.misplacedFetches > sinkLimits.misplacedFetchesMax) {
      const text = `${topic}-${number} was asked for offset ${offset} and brings ${fetched.fetchOffset}, again and again`
      throw new StreamsError('INVALID_STATE', text, { topic, partition: number, offset })
    }
    fetcher.seek({ topic, partition: number, offset })
  }

  /** True when the error was dealt with, false when the poll is worth another attempt; throws what ends the runner. */
  async #recover({ admin, fetcher }: Connections, error: unknown): Promise<boolean> {
    if (hasCode(error, 'OFFSET_OUT_OF_RANGE') && error.topic !== undefined && error.partition !== undefined) {
      const of = { topic: error.topic, partition: error.partition }
      const key = partitionKey(of)
      const partition = this.#partitions.get(key)
      if (partition === undefined) return true
      const start = (await admin.listOffsets([of], 'earliest')).get(key) ?? 0
      const end = (await admin.listOffsets([of], 'latest')).get(key)
      checkWithinLog(of, partition.nextOffset, end)
      const gap = { ...of, fromOffset: partition.nextOffset, toOffset: start }
      const fields = { ...of, first_offset: gap.fromOffset, last_offset: start - 1 }
      this.#options.logger.error(
        fields,
        'records were deleted from the log before they could be stored: retention is too short',
      )
      this.#options.probe.onGap(gap)
      partition.skipTo(start)
      fetcher.seek({ ...of, offset: start })
      return true
    }
    if (isRetryable(error)) return false
    throw error
  }

  /** Back pressure: a partition whose batches pile up is not fetched, and none is while all together hold too much. */
  #updatePauses(): void {
    if (this.#connections === undefined || this.#abort.signal.aborted) return
    const { fetcher, context } = this.#connections
    const { bufferBytesMax = sinkLimits.bufferBytesMax } = this.#options
    let bytes = 0
    for (const partition of this.#partitions.values()) bytes += partition.bufferedBytes
    // Two bounds, so that it does not flicker.
    this.#isOverBuffer = bytes >= bufferBytesMax || (this.#isOverBuffer && bytes > bufferBytesMax / 2)
    const nowMs = context.clock.nowMs()
    for (const partition of this.#partitions.values()) {
      const isPaused = partition.isFull || (this.#isOverBuffer && !partition.isRepeating)
      if (isPaused && !partition.paused) fetcher.pause(partition)
      if (!isPaused && partition.paused) fetcher.resume(partition)
      partition.paused = isPaused
      if (this.#isOverBuffer) {
        partition.expedite()
        partition.flush(nowMs)
      }
    }
  }

  #log(message: string, partitions: readonly TopicPartition[]): void {
    const { logger, topic, groupId } = this.#options
    logger.info({ topic, group_id: groupId, partitions: partitions.map(({ partition }) => partition) }, message)
  }
}

/** A position beyond the log's end would skip whatever is written there next: the topic is not the one that was read before. */
function checkWithinLog({ topic, partition }: TopicPartition, offset: number, end: number | undefined): void {
  if (end === undefined || offset <= end) return
  throw new StreamsError(
    'OFFSET_OUT_OF_RANGE',
    `${topic}-${partition} is stored up to offset ${offset}, but its log ends at ${end}: the topic was deleted and created again. Reset the sink's offsets to go on`,
    { topic, partition, offset },
  )
}

/** Resolves when `work` does, or after `ms`. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, expired])
  clearTimeout(timer)
}
