// The connection and its migrations.

export { StorageError, type StorageErrorCode, storageErrorCodes } from '../errors.ts'
// API logs and accounts.
export { type ApiLogRepository, createApiLogRepository, type StoredApiLog } from './api-log-repository.ts'
// Leads.
export {
  createLeadRepository,
  type LeadDecision,
  type LeadOutcomeName,
  type LeadPage,
  type LeadQuery,
  type LeadRepository,
  type LeadSort,
  type LeadStatus,
  leadOutcomes,
  leadSorts,
  leadStatuses,
  type StoredLead,
} from './lead-repository.ts'
export { pageRowsMax } from './limits.ts'
export { migrateMysql, mysqlMigrations } from './migrate.ts'
export { type CallOptions, type Database, type Mysql, type MysqlOptions, openMysql } from './mysql.ts'
// What sinks store together with the rows.
export {
  createSinkOffsetRepository,
  type Placed,
  type Rejection,
  type SinkOffsetRepository,
  type SinkPartition,
  type SinkRange,
  type StoredOffsets,
} from './sink-range.ts'
export { createUserRepository, type StoredUser, type UserRepository, type UserSeed } from './user-repository.ts'
