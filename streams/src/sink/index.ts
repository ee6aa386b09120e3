// biome-ignore-all assist/source/organizeImports: the exports are grouped by who needs them.

// What a sink implements.
export type { BatchSink, OffsetKeeper, RepeatedRange, SinkPosition, WriteContext } from './batch-sink.ts'
export { type RecordView, SinkBatch } from './sink-batch.ts'

// Running it.
export { createSinkRunner, type SinkRunner, type SinkRunnerOptions } from './sink-runner.ts'
export type { BatchLimits, PartitionLag, SinkProbe, WrittenBatch } from './partition-sink.ts'
export { sinkLimits } from './limits.ts'

// Where it goes on after a restart.
export { intentOffsets } from './intent-offsets.ts'
export { type OffsetStore, storedOffsets } from './stored-offsets.ts'

// What cannot be stored.
export { type DeadLetterReason, deadLetterHeaders } from '../core/dead-letter.ts'
export { deadLetter, sendDeadLetters } from './dead-letter.ts'

// The ports and values that a sink's composition root needs, without loading the engine.
export type { Broker, Producer } from '../core/broker.ts'
export { type Clock, systemClock } from '../core/clock.ts'
export { hasCode, StreamsError, type StreamsErrorCode } from '../core/errors.ts'
export { type Logger, silentLogger } from '../core/logger.ts'
export type { OutgoingRecord } from '../core/record.ts'
