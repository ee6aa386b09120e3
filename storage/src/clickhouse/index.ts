// biome-ignore-all assist/source/organizeImports: the exports are grouped by who needs them.

// The connection and its migrations.
export {
  type AvroInsert,
  type ClickHouse,
  type ClickHouseOptions,
  openClickHouse,
  type Query,
  type Row,
} from './clickhouse.ts'
export { type ClickHouseMigrationOptions, clickHouseMigrations, migrateClickHouse } from './migrate.ts'
export { eventsRetention, setEventsRetention } from './retention.ts'
export { clickHouseMigrationTarget } from './migration-target.ts'
export { StorageError, type StorageErrorCode, storageErrorCodes } from '../errors.ts'

// What the API reads.
export {
  createEventRepository,
  type EventPage,
  type EventQuery,
  type EventRepository,
  type StoredEvent,
  type StoredIdentity,
  type StoredRecord,
} from './event-repository.ts'
export { createStatsRepository, type StatsQuery, type StatsRepository, type StoredStats } from './stats-repository.ts'
export { dateTime64MaxMs, pageRowsMax, rangeRowsMax, reconciledOffsetsMax, retentionDaysMax } from './limits.ts'

// What reconciliation asks.
export { type EventKey, eventKeyText } from './event-key.ts'
export {
  createReconciliationRepository,
  type EventBounds,
  type OffsetRange,
  type ReconciliationRepository,
  type StoredCount,
} from './reconciliation-repository.ts'
