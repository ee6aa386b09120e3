import type { TopicPartition } from '../core/broker.ts'
import type { SinkBatch } from './sink-batch.ts'

/** What a write gets beside its batch. */
export interface WriteContext {
  /** Names the batch's range: the same for every attempt at it, also after a restart. Empty when the store keeps the offsets. */
  readonly token: string
  /** Aborts when the partition is taken away or the sink closes: the write may then stop, its batch will be written again by whoever goes on. */
  readonly signal: AbortSignal
}

/** Where batches go. */
export interface BatchSink {
  /**
   * Writes a batch; resolved means that the store has every record of it, or that a dead-letter topic has. Batches of one partition come one after
   * the other, those of different partitions at the same time. The same batch may come again, within a process and after a restart:
   * writing it again must change nothing. It belongs to the runner: not to be kept.
   * An error whose `retryable` is true is answered with the same batch after a pause; any other one ends the sink.
   */
  write(batch: SinkBatch, context: WriteContext): Promise<void>
}

/** Where a partition goes on. */
export interface SinkPosition {
  /** The next offset to write. */
  readonly offset: number
  /** A range that an earlier owner may have written or not: it must be written again as exactly this range, with this token. */
  readonly repeat?: RepeatedRange
}

/** A range whose write was announced. */
export interface RepeatedRange {
  readonly nextOffset: number
  readonly token: string
}

/** Remembers how far each partition is written. Errors are as for `BatchSink.write`. */
export interface OffsetKeeper {
  /** Where to go on, by partition number; partitions without a position are absent, and begin at the start of the log. */
  positions(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<number, SinkPosition>>
  /** Announces that a batch is about to be written; resolves, with the batch's token, when the announcement is durable. */
  announce(batch: SinkBatch): Promise<string>
  /** Notes that a batch was written. */
  done(batch: SinkBatch): Promise<void>
  /** Brings out what `done` has put off, before partitions are given up or the sink closes. Best effort: never throws. */
  flush(partitions: readonly TopicPartition[]): Promise<void>
}
