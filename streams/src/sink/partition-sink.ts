import type { FetchedBatches, TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import type { RecordCursor } from '../core/record-cursor.ts'
import type { BatchSink, OffsetKeeper, RepeatedRange, SinkPosition } from './batch-sink.ts'
import { sinkLimits } from './limits.ts'
import { type BatchStorage, SinkBatch } from './sink-batch.ts'
import type { WriteSlots } from './write-slots.ts'

/** When a batch is cut. */
export interface BatchLimits {
  readonly rowsMax: number
  /** Keys and values; one record may come on top. */
  readonly bytesMax: number
  /** Age of its first record in this process. 0: as soon as the write before is done, so that batches grow with the load alone. */
  readonly ageMaxMs: number
}

/** Told what happens; must not throw. Costs nothing when it does nothing. */
export interface SinkProbe {
  onWritten(written: WrittenBatch): void
  onRetry(failure: TopicPartition & { readonly attempt: number; readonly error: unknown }): void
  /** Records that were gone from the log before they could be read. */
  onGap(gap: TopicPartition & { readonly fromOffset: number; readonly toOffset: number }): void
}

/** A batch that the store has. */
export interface WrittenBatch extends TopicPartition {
  readonly rows: number
  readonly bytes: number
  readonly firstOffset: number
  readonly nextOffset: number
  readonly durationMs: number
}

/** How far a partition is, for those who watch its lag. */
export interface PartitionLag extends TopicPartition {
  /** Everything before it is written. */
  readonly writtenOffset: number
  /** The end of the log as it was last seen. */
  readonly endOffset: number
  /** Time of the oldest record that was read and is not written; undefined when there is none. */
  readonly oldestPendingMs: number | undefined
  /** Keys and values that are held. */
  readonly bufferedBytes: number
}

/** What the partitions of a runner share. */
export interface PartitionSinkContext {
  readonly limits: BatchLimits
  readonly sink: BatchSink
  readonly keeper: OffsetKeeper
  readonly slots: WriteSlots
  /** Of batches that were written, for new ones. */
  readonly spares: BatchStorage[]
  readonly clock: Clock
  readonly probe: SinkProbe
  /** Waits before attempt `attempt + 1`; rejects when the signal aborts. */
  pause(attempt: number, signal: AbortSignal): Promise<void>
  /** A write came to its end: there is room again. */
  onRoom(): void
  /** A commit was refused because the group has moved on: what was taken in is dropped, and whoever owns the partition goes on from the commits. */
  onRefused(partition: PartitionSink): void
  /** An error that no repetition cures. */
  onFailed(error: unknown): void
}

/**
 * Batches one partition's records and writes one batch after the other, so that what is written is always everything before one offset:
 *
 *     … written │ being written │ sealed │ open │ → fetch position
 *
 * While a batch is being written the next one fills. Retryable errors repeat the same batch until it is written or the partition is given up.
 */
export class PartitionSink implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** The next offset to fetch. */
  nextOffset: number
  /** The end of the log as it was last seen. */
  endOffset: number
  paused = false
  /** Fetches in a row that were not of the asked offset. */
  misplacedFetches = 0

  readonly #context: PartitionSinkContext
  readonly #abort = new AbortController()
  readonly #sealed: SinkBatch[] = []
  #open: SinkBatch
  #openedAtMs = 0
  #current: SinkBatch | undefined
  #writing: Promise<void> | undefined
  #repeat: RepeatedRange | undefined
  /** The repeated range's batch, which has its token already. */
  #repeated: { readonly batch: SinkBatch; readonly token: string } | undefined

  constructor(of: TopicPartition, position: SinkPosition, context: PartitionSinkContext) {
    this.topic = of.topic
    this.partition = of.partition
    this.nextOffset = position.offset
    this.endOffset = position.offset
    this.#context = context
    this.#repeat = position.repeat
    this.#open = new SinkBatch(of, position.offset)
  }

  /** Keys and values that are held. */
  get bufferedBytes(): number {
    let bytes = this.#open.bytesUsed + (this.#current?.bytesUsed ?? 0)
    for (const batch of this.#sealed) bytes += batch.bytesUsed
    return bytes
  }

  /** True when it should be fed no more: a whole batch waits behind the one that is being written. */
  get isFull(): boolean {
    return this.#sealed.length > 0
  }

  /** True while a range is being read that must be written again as it was: it has to become complete. */
  get isRepeating(): boolean {
    return this.#repeat !== undefined
  }

  /** When the open batch has to be written; undefined when that is not for time to decide. */
  get dueAtMs(): number | undefined {
    if (this.#writing !== undefined || this.#open.count === 0 || this.#repeat !== undefined) return undefined
    return this.#openedAtMs + this.#context.limits.ageMaxMs
  }

  get lag(): PartitionLag {
    const oldest = this.#current ?? this.#sealed[0] ?? (this.#open.count > 0 ? this.#open : undefined)
    return {
      topic: this.topic,
      partition: this.partition,
      writtenOffset: oldest?.firstOffset ?? this.nextOffset,
      endOffset: Math.max(this.endOffset, this.nextOffset),
      oldestPendingMs: oldest === undefined || oldest.count === 0 ? undefined : oldest.timestamp(0),
      bufferedBytes: this.bufferedBytes,
    }
  }

  /** Takes in what was fetched from `nextOffset` on. */
  take(fetched: FetchedBatches, cursor: RecordCursor): void {
    cursor.reset(fetched)
    while (cursor.next()) {
      if (this.#repeat !== undefined && cursor.offset >= this.#repeat.nextOffset) this.#sealRepeat(this.#repeat)
      if (this.#open.count === 0) this.#openedAtMs = this.#context.clock.nowMs()
      this.#open.append(cursor)
      if (this.#repeat === undefined && this.#isOpenFull()) this.#seal()
    }
    this.#open.settle()
    this.#moveTo(cursor.nextOffset)
    this.endOffset = fetched.lastStableOffset
  }

  /** Goes on at `offset` because the records before it are gone. The range of the open batch spans the gap. */
  skipTo(offset: number): void {
    this.#moveTo(offset)
  }

  /** Starts a write when one is due and none is on its way. */
  flush(nowMs: number): void {
    if (this.#writing !== undefined || this.#abort.signal.aborted) return
    const dueAtMs = this.dueAtMs
    if (this.#sealed.length === 0 && dueAtMs !== undefined && nowMs >= dueAtMs) this.#seal()
    const batch = this.#sealed.shift()
    if (batch === undefined) return
    this.#current = batch
    this.#writing = this.#write(batch)
  }

  /** Makes everything that was taken in due, however young. */
  expedite(): void {
    if (this.#repeat === undefined && this.#open.count > 0 && this.#sealed.length === 0) this.#seal()
  }

  /** Resolves when everything that was taken in is written, or the partition was given up. A repeated range that is not complete stays unwritten. */
  async drain(): Promise<void> {
    for (;;) {
      this.expedite()
      this.flush(this.#context.clock.nowMs())
      if (this.#writing === undefined) return
      await this.#writing
    }
  }

  /** Resolves when the write that is on its way has ended; starts none. */
  async settle(): Promise<void> {
    this.#sealed.length = 0
    this.#open = new SinkBatch(this, this.nextOffset)
    await this.#writing
  }

  /** Gives the partition up: drops what is not written and ends retries. */
  release(): void {
    this.#abort.abort()
    this.#sealed.length = 0
    this.#open = new SinkBatch(this, this.nextOffset)
  }

  #isOpenFull(): boolean {
    const { rowsMax, bytesMax } = this.#context.limits
    return this.#open.count >= rowsMax || this.#open.bytesUsed >= bytesMax
  }

  #seal(): void {
    const sealed = this.#open
    sealed.settle()
    this.#sealed.push(sealed)
    // One that is full is followed by another that will be.
    const storage = this.#context.spares.pop() ?? (this.#isOpenFull() ? sealed.emptyLike() : undefined)
    this.#open = new SinkBatch(this, sealed.nextOffset, storage)
  }

  /** Cuts the batch exactly where it was cut the first time. */
  #sealRepeat(repeat: RepeatedRange): void {
    this.#repeat = undefined
    this.#open.nextOffset = repeat.nextOffset
    this.#repeated = { batch: this.#open, token: repeat.token }
    this.#seal()
  }

  #moveTo(offset: number): void {
    if (this.#repeat !== undefined && offset >= this.#repeat.nextOffset) this.#sealRepeat(this.#repeat)
    this.nextOffset = offset
    this.#open.nextOffset = Math.max(this.#open.nextOffset, offset)
  }

  /** Never rejects: what cannot be cured goes to `onFailed`. */
  async #write(batch: SinkBatch): Promise<void> {
    const { sink, keeper, slots, spares, probe, clock } = this.#context
    const { signal } = this.#abort
    const startedMs = clock.nowMs()
    try {
      const token =
        this.#repeated?.batch === batch ? this.#repeated.token : await this.#attempt(() => keeper.announce(batch))
      // A repeated range may have lost all its records to retention: then there is nothing to write, and the announcement is over.
      if (batch.count > 0) await slots.run(() => this.#attempt(() => sink.write(batch, { token, signal })))
      await this.#attempt(() => keeper.done(batch))
      this.#repeated = undefined
      const { topic, partition, count: rows, bytesUsed: bytes, firstOffset, nextOffset } = batch
      probe.onWritten({ topic, partition, rows, bytes, firstOffset, nextOffset, durationMs: clock.nowMs() - startedMs })
      // Only of a write that went well: one that was given up may still be on its way.
      if (spares.length < sinkLimits.spareBatchesMax) spares.push(batch.retire())
    } catch (error) {
      const isGivenUp = signal.aborted
      this.release()
      if (!isGivenUp && hasCode(error, 'REBALANCED')) this.#context.onRefused(this)
      else if (!isGivenUp) this.#context.onFailed(error)
    } finally {
      this.#writing = undefined
      this.#current = undefined
    }
    this.flush(clock.nowMs())
    this.#context.onRoom()
  }

  /** Repeats `operation` after retryable errors. `REBALANCED` is not for repeating here: the partition is not ours any more. */
  async #attempt<T>(operation: () => Promise<T>): Promise<T> {
    const { signal } = this.#abort
    for (let attempt = 1; ; attempt++) {
      if (signal.aborted) throw new StreamsError('CLOSED', `${this.topic}-${this.partition} was given up`)
      try {
        return await operation()
      } catch (error) {
        if (signal.aborted || !isRetryable(error)) throw error
        this.#context.probe.onRetry({ topic: this.topic, partition: this.partition, attempt, error })
        await this.#context.pause(attempt, signal)
      }
    }
  }
}

/** Every package's errors carry `retryable`; one that does not is not ours, and nothing is known of it. */
export function isRetryable(error: unknown): boolean {
  if (hasCode(error, 'REBALANCED')) return false
  return error instanceof Error && 'retryable' in error && error.retryable === true
}
