import { sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { type Migration, pendingMigrations, readMigrations } from '../migration-files.ts'
import { migrationLockSeconds, migrationTimeoutMs } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { schemaMigrations } from './schema.ts'

/** The migrations of this version. */
export function mysqlMigrations(): readonly Migration[] {
  return readMigrations(new URL('./migrations/', import.meta.url))
}

/**
 * Brings the database to this version and returns the names of what was applied. Several processes may call it together: a lock in the
 * database lets one work and the others wait. A step that fails halfway can be repeated, because every statement can.
 * Throws `MIGRATION_FAILED`.
 */
export async function migrateMysql(
  mysql: Mysql,
  migrations: readonly Migration[] = mysqlMigrations(),
): Promise<readonly string[]> {
  return mysql.run(
    'migrating',
    async (database) => {
      await lock(database)
      try {
        return await applyPending(database, migrations)
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

async function applyPending(database: Database, migrations: readonly Migration[]): Promise<readonly string[]> {
  await database.execute(sql`CREATE TABLE IF NOT EXISTS schema_migrations (
    name varchar(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    checksum char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    applied_at datetime(3) NOT NULL,
    PRIMARY KEY (name)
  ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`)
  const applied = await database.select().from(schemaMigrations)
  const pending = pendingMigrations(migrations, applied)
  for (const migration of pending) {
    for (const statement of migration.statements) await database.execute(sql.raw(statement))
    const { name, checksum } = migration
    await database.insert(schemaMigrations).values({ name, checksum, appliedAt: new Date() })
  }
  return pending.map(({ name }) => name)
}
