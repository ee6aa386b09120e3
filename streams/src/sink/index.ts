// What a sink implements.
export type { BatchSink, OffsetKeeper, RepeatedRange, SinkPosition, WriteContext } from './batch-sink.ts'
// What cannot be stored.
export { type DeadLetterReason, deadLetter, deadLetterHeaders, sendDeadLetters } from './dead-letter.ts'
// Where it goes on after a restart.
export { intentOffsets } from './intent-offsets.ts'
export { sinkLimits } from './limits.ts'
export type { BatchLimits, PartitionLag, SinkProbe, WrittenBatch } from './partition-sink.ts'
export { SinkBatch } from './sink-batch.ts'
// Running it.
export { createSinkRunner, type SinkRunner, type SinkRunnerOptions } from './sink-runner.ts'
export { type OffsetStore, storedOffsets } from './stored-offsets.ts'
