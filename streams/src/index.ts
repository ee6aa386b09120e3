// biome-ignore-all assist/source/organizeImports: the exports are grouped by who needs them.

// Describing programs over streams.
export { Grouped, type TableOptions } from './dsl/grouped.ts'
export { GroupedTable, type RowReducers } from './dsl/grouped-table.ts'
export type { Materialized } from './dsl/materialized.ts'
export { PreAggregated, PreAggregatedWindows, type PreAggregateOptions } from './dsl/pre-aggregated.ts'
export { type GroupOptions, type Named, type RepartitionOptions, type SinkOptions, Stream } from './dsl/stream.ts'
export { type SourceOptions, StreamsBuilder, type TableSourceOptions } from './dsl/streams-builder.ts'
export {
  type SuppressBounds,
  type UntilTimeLimit,
  type UntilWindowCloses,
  untilTimeLimit,
  untilWindowCloses,
} from './dsl/suppressed.ts'
export { Table, type TableGroupOptions, type TableOperatorOptions, WindowedTable } from './dsl/table.ts'
export { type WindowAggregateOptions, WindowedStream, type WindowOptions } from './dsl/windowed-stream.ts'
export type { EmitMode } from './processor/change.ts'
export type { WhenFull } from './processor/suppress.ts'
export type { KeyValue } from './processor/flat-map.ts'
export type { WindowResult } from './processor/window-results.ts'
export { hoppingWindows, type TimeWindows, tumblingWindows } from './windows/time-windows.ts'
export { type Windowed, windowedKey } from './windows/windowed.ts'

// Aggregating.
export type { Aggregator, MergeableAggregator, ReversibleAggregator } from './aggregate/aggregator.ts'
export { type Combine, combine, type MergeableParts, type PartResults, type Parts } from './aggregate/combine.ts'
export { count } from './aggregate/count.ts'
export { max, min } from './aggregate/extremes.ts'
export { type MeanAccumulator, mean } from './aggregate/mean.ts'
export { float64, float64OrNull, int64 } from './aggregate/numbers.ts'
export { of } from './aggregate/of.ts'
export { sum } from './aggregate/sum.ts'

// Topologies.
export { describe } from './topology/describe.ts'
export { internalTopicNames } from './topology/topic-names.ts'
export type { Topology } from './topology/topology.ts'

// Running them.
export { type DropReason, dropReasons } from './processor/processor.ts'
export type { Guarantee } from './runtime/commit-channel.ts'
export { type FailureAction, type FailurePolicy, type FailureStage, failureStages } from './runtime/failures.ts'
export type {
  AppProbes,
  AppSnapshot,
  InputSnapshot,
  NodeSnapshot,
  StoreInMemory,
  TaskSnapshot,
} from './runtime/probes.ts'
export type { ReadOnlyStore, StoreSnapshot } from './runtime/queries.ts'
export type { KeyRange, KeyValueRow, ReadOnlyKeyValueStore } from './runtime/queries-key-value.ts'
export type { StoreOwner } from './runtime/queries-locate.ts'
export type { Page, PageOptions } from './runtime/queries-page.ts'
export type { ReadOnlyWindowStore, WindowRange, WindowRow } from './runtime/queries-window.ts'
export type { RestoreProgress, StoreRestore } from './runtime/recovery.ts'
export { type RunState, runStates } from './runtime/run-states.ts'
export type { StandbySnapshot } from './runtime/standby-replicas.ts'
export { type AppCloseOptions, StreamsApp, type StreamsAppOptions, storeNames } from './runtime/streams-app.ts'
export type { DroppedRecords, FailedRecord, TaskProbes } from './runtime/task.ts'
export { memoryStores } from './state/memory-store.ts'
export type { ByteStoreProvider } from './state/store.ts'

// Bytes, records and time.
export { type Clock, systemClock } from './core/clock.ts'
export { crc32c } from './core/crc32c.ts'
export { deadLetterHeaders } from './core/dead-letter.ts'
export { lateHeaders } from './core/late-record.ts'
export { type LogFields, type Logger, silentLogger } from './core/logger.ts'
export { internedUtf8 } from './core/interned-text.ts'
export { partitionOfKey } from './core/murmur2.ts'
export {
  keyBytes,
  noHeaders,
  type OutgoingRecord,
  type OutgoingRecords,
  type RecordHeader,
  SlicedRecord,
  type StreamRecord,
  valueBytes,
} from './core/record.ts'
export { RecordCursor } from './core/record-cursor.ts'
export { bytes, json, nullable, type Serde, utf8 } from './core/serde.ts'
export { UvarintReader, uvarintBytes, writeUvarint } from './core/varint.ts'

// The broker's ports.
export { boundedBroker, type OffsetRange } from './core/bounded-broker.ts'
export { offsetRanges } from './core/offset-ranges.ts'
export {
  type Admin,
  type Broker,
  type CommittedOffset,
  type FetchedBatches,
  type Fetcher,
  type GroupMember,
  type GroupView,
  type GroupViewMember,
  type ListedOffset,
  type NewTopic,
  partitionKey,
  type ProducedBatch,
  type Producer,
  type TopicDescription,
  type TopicPartition,
  type TransactionalProducer,
} from './core/broker.ts'

// Errors.
export { hasCode, StreamsError, type StreamsErrorCode, streamsErrorCodes } from './core/errors.ts'
