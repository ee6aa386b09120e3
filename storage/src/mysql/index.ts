// biome-ignore-all assist/source/organizeImports: the exports are grouped by who needs them.

// The connection and its migrations.
export { type CallOptions, type Database, type Mysql, type MysqlOptions, openMysql } from './mysql.ts'
export type { InsertNew } from './insert-new.ts'
export { type MysqlMigrationOptions, migrateMysql, mysqlMigrations } from './migrate.ts'
export { mysqlMigrationTarget } from './migration-target.ts'
export type { MigrationTarget } from '../migration-target.ts'
export { type MigrationState, type MigrationStatus, migrationStates } from '../migration-status.ts'
export { StorageError, type StorageErrorCode, storageErrorCodes } from '../errors.ts'

// Leads.
export {
  createLeadIntake,
  type LeadDecision,
  type LeadIntake,
  type LeadIntakeOptions,
  type LeadOutcomeName,
  leadOutcomes,
} from './lead-intake.ts'
export {
  createLeadRepository,
  type LeadPage,
  type LeadQuery,
  type LeadRepository,
  type LeadSort,
  type LeadStatus,
  leadSorts,
  leadStatuses,
} from './lead-repository.ts'
export type { StoredLead } from './stored-lead.ts'
export { createLeadTreeStore, type FoundKeys, findKeys } from './lead-keys.ts'
export { type LeadHistoryEntry, type LeadStep, leadSteps } from './lead-history.ts'
export {
  createLeadPrivacyRepository,
  type LeadErasure,
  type LeadPrivacyRepository,
  type LeadPrivacyRequest,
  type PersonExport,
  type SubmissionLog,
} from './lead-privacy-repository.ts'
export { type LeadCondition, type LeadOperator, leadOperators } from './lead-conditions.ts'
export { leadConditionsMax, leadConditionValuesMax, leadSourcesMax, pageRowsMax } from './limits.ts'
export {
  createLeadFieldRepository,
  type LeadFieldRepository,
  type LeadFieldsChange,
  type LeadFieldsContent,
  type LeadFieldsOutcome,
  type LeadFieldsSnapshot,
  type StoredLeadFields,
  type UndefinedAttributes,
  undefinedAttributes,
} from './lead-field-repository.ts'

// API logs and accounts.
export { type ApiLogPartitions, createApiLogPartitions, type PartitionChange } from './api-log-partitions.ts'
export { type ApiLogRepository, createApiLogRepository, type StoredApiLog } from './api-log-repository.ts'
export {
  createUserRepository,
  type StoredUser,
  type UserChange,
  type UserRepository,
  type UserSeed,
} from './user-repository.ts'

// Who is let in: sessions, keys, counted logins, and the log of it all.
export {
  createSessionRepository,
  type NewSession,
  type Refresh,
  type RefreshOutcome,
  type SessionEndReason,
  type SessionRepository,
  type SessionState,
  sessionEndReasons,
} from './session-repository.ts'
export {
  type ApiKeyRepository,
  type ApiKeyState,
  createApiKeyRepository,
  type KeyActor,
  type ListedApiKey,
  type NewApiKey,
} from './api-key-repository.ts'
export {
  type CountedAttempts,
  createLoginAttemptRepository,
  type LoginAttemptRepository,
} from './login-attempt-repository.ts'
export {
  type AuditAction,
  type AuditEntry,
  type AuditRepository,
  type AuditVerdict,
  auditActions,
  createAuditRepository,
  type StoredAuditEntry,
} from './audit-log.ts'
export { apiKeysMax, lookupKeysMax } from './limits.ts'

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

// What reconciliation asks.
export {
  createReconciliationRepository,
  type LeadBounds,
  type LeadCount,
  type LeadOffsets,
  type MinuteCount,
  type ReconciliationRepository,
} from './reconciliation-repository.ts'
