import type { MigrationStatus } from './migration-status.ts'

/** A database, as those see it who migrate it. */
export interface MigrationTarget {
  /** The server's name for messages. */
  readonly name: string
  /** Resolves when the server answers. Throws a retryable `StorageError` while it cannot be reached. */
  ping(): Promise<void>
  /** Every migration of this version and of the database; changes nothing. */
  status(): Promise<readonly MigrationStatus[]>
  /** Brings the database to this version; returns the names of what was applied. Throws `MIGRATION_FAILED`. */
  migrate(): Promise<readonly string[]>
  close(): Promise<void>
}
