import { sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { type Migration, pendingMigrations, readMigrations } from '../migration-files.ts'
import type { LeadKey } from '../sealing/index.ts'
import { indexLeadAttributes } from './index-lead-attributes.ts'
import { migrationLockSeconds, migrationTimeoutMs } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { schemaMigrations } from './schema.ts'
import { sealStoredLeads } from './seal-stored-leads.ts'

/** The migrations of this version. */
export function mysqlMigrations(): readonly Migration[] {
  return readMigrations(new URL('./migrations/', import.meta.url))
}

/** What single steps need. */
export interface MysqlMigrationOptions {
  /** The master key of leads; needed where leads of an earlier version are to be sealed. */
  readonly leadKey?: LeadKey | undefined
}

/**
 * Brings the database to this version and returns the names of what was applied. Several processes may call it together: a lock in the
 * database lets one work and the others wait. A step that fails halfway can be repeated, because every statement can.
 * Throws `MIGRATION_FAILED`.
 */
export async function migrateMysql(
  mysql: Mysql,
  migrations: readonly Migration[] = mysqlMigrations(),
  options: MysqlMigrationOptions = {},
): Promise<readonly string[]> {
  return mysql.run(
    'migrating',
    async (database) => {
      await lock(database)
      try {
        return await applyPending(database, migrations, options)
      } finally {
        await database.execute(sql`SELECT RELEASE_LOCK(${lockName})`)
      }
    },
    { timeoutMs: migrationTimeoutMs },
  )
}

/** Locks are per server, not per database. */
const lockName = sql`CONCAT('millrace.migrate.', DATABASE())`

async function lock(database: Database): Promise<void> {
  const [row] = await database
    .select({ taken: sql<number>`GET_LOCK(${lockName}, ${migrationLockSeconds})` })
    .from(sql`(SELECT 1) AS one`)
  if (row?.taken !== 1) {
    throw new StorageError(
      'MIGRATION_FAILED',
      `Another process has been migrating MySQL for more than ${migrationLockSeconds} s: wait for it, or end it`,
    )
  }
}

async function applyPending(
  database: Database,
  migrations: readonly Migration[],
  options: MysqlMigrationOptions,
): Promise<readonly string[]> {
  await database.execute(sql`CREATE TABLE IF NOT EXISTS schema_migrations (
    name varchar(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    checksum char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    applied_at datetime(3) NOT NULL,
    PRIMARY KEY (name)
  ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`)
  const applied = await database.select().from(schemaMigrations)
  const pending = pendingMigrations(migrations, applied)
  for (const migration of pending) {
    for (const statement of migration.statements) await apply(database, statement, options)
    const { name, checksum } = migration
    await database.insert(schemaMigrations).values({ name, checksum, appliedAt: new Date() })
  }
  return pending.map(({ name }) => name)
}

/** `RUN name` is not SQL: it stands for what no statement can do. Such a step can be repeated, too. */
const steps: Readonly<Record<string, (database: Database, options: MysqlMigrationOptions) => Promise<void>>> = {
  seal_leads: (database, { leadKey }) => sealStoredLeads(database, leadKey),
  index_lead_attributes: (database) => indexLeadAttributes(database),
}

async function apply(database: Database, statement: string, options: MysqlMigrationOptions): Promise<void> {
  const name = /^RUN ([a-z_]+)$/.exec(statement)?.[1]
  if (name === undefined) {
    await database.execute(sql.raw(statement))
    return
  }
  const step = steps[name]
  if (step === undefined) throw new StorageError('MIGRATION_FAILED', `No step is called "${name}"`)
  await step(database, options)
}
