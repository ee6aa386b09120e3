// Schemas and their types.
export {
  type AvroField,
  type AvroRecordSchema,
  avroSchema,
  type SchemaName,
  schemaNames,
  schemaText,
} from './avro-schemas.ts'
// Encoding and the registry.
export { createCodec, frameBytes, longMax, type RecordCodec, type RecordTypes } from './codec.ts'
export { SchemaError, type SchemaErrorCode, schemaErrorCodes } from './errors.ts'
export { decodeLearning, openRegistry, type Registry } from './registry.ts'
// The topic catalogue.
export {
  type StatsInterval,
  statsIntervalNames,
  statsIntervals,
  statsKey,
  type TopicName,
  type TopicSpec,
  topic,
  topicNames,
  topics,
  valueSubject,
} from './topics.ts'
export type { ApiLog, Event, EventStats, Lead, LeadOutcome } from './types.generated.ts'
