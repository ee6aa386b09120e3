import { setTimeout as delay } from 'node:timers/promises'
import { StorageError } from '../errors.ts'
import { type AppliedMigration, type Migration, pendingMigrations, readMigrations } from '../migration-files.ts'
import { type ClickHouse, type ClickHouseOptions, openClickHouse } from './clickhouse.ts'
import { underMigrationLock } from './migration-lock.ts'
import { setEventsRetention } from './retention.ts'
import { moveTable } from './table-move.ts'

/** What a migration does after its statements and SQL alone cannot: it can be repeated as they can. */
const programs: ReadonlyMap<string, (clickHouse: ClickHouse) => Promise<void>> = new Map([
  [
    '0003_events_by_time',
    (clickHouse: ClickHouse) =>
      moveTable(clickHouse, {
        table: 'events',
        next: 'events_next',
        kept: 'events_before_0003',
        sortingKey: 'timestamp, event_id, user_id, event_type',
        timeColumn: 'timestamp',
      }),
  ],
])

/** Where ClickHouse is, and what migrating sets besides tables. */
export interface ClickHouseMigrationOptions extends ClickHouseOptions {
  /** Days for which events are kept; 0 for ever. Absent: as it is, which is for ever in a new database. */
  readonly eventsRetentionDays?: number | undefined
}

/** The migrations of this version. */
export function clickHouseMigrations(): readonly Migration[] {
  return readMigrations(new URL('./migrations/', import.meta.url))
}

/**
 * Creates the database when it does not exist, brings it to this version, and returns the names of what was applied. Several processes
 * may call it together: one works, the others wait. A step that fails halfway can be repeated, because every statement can.
 * Throws `MIGRATION_FAILED`.
 */
export async function migrateClickHouse(
  options: ClickHouseMigrationOptions,
  migrations: readonly Migration[] = clickHouseMigrations(),
): Promise<readonly string[]> {
  if (!/^[A-Za-z_]\w*$/.test(options.database)) {
    throw new StorageError(
      'MIGRATION_FAILED',
      `"${options.database}" is not a database name: use letters, digits and _`,
    )
  }
  await using(openClickHouse({ ...options, database: 'default' }), (server) =>
    server.command('creating the database', `CREATE DATABASE IF NOT EXISTS ${options.database}`),
  )
  return using(openClickHouse(options), (clickHouse) =>
    underMigrationLock(clickHouse, async () => {
      const applied = await applyPending(clickHouse, migrations)
      if (options.eventsRetentionDays !== undefined) await setEventsRetention(clickHouse, options.eventsRetentionDays)
      return applied
    }),
  )
}

async function applyPending(clickHouse: ClickHouse, migrations: readonly Migration[]): Promise<readonly string[]> {
  await clickHouse.command(
    'migrating',
    `CREATE TABLE IF NOT EXISTS schema_migrations (name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
     ENGINE = ReplacingMergeTree ORDER BY name`,
  )
  const pending = pendingMigrations(migrations, await readApplied(clickHouse))
  for (const { name, statements, checksum } of pending) {
    for (const statement of statements) await clickHouse.command(`applying migration ${name}`, statement)
    await programs.get(name)?.(clickHouse)
    // Both values are made by this program, of hexadecimal digits and of letters, digits and _.
    const values = `('${name}', '${checksum}')`
    await clickHouse.command('migrating', `INSERT INTO schema_migrations (name, checksum) VALUES ${values}`)
    await waitUntilApplied(clickHouse, name)
  }
  return pending.map(({ name }) => name)
}

/** A server whose inserts are asynchronous by default shows the row a moment later. */
async function waitUntilApplied(clickHouse: ClickHouse, name: string): Promise<void> {
  for (let attempt = 1; attempt <= 50; attempt++) {
    if ((await readApplied(clickHouse)).some((migration) => migration.name === name)) return
    await delay(100)
  }
  throw new StorageError(
    'MIGRATION_FAILED',
    `ClickHouse does not show migration ${name} as applied: run the migration again`,
  )
}

async function readApplied(clickHouse: ClickHouse): Promise<readonly AppliedMigration[]> {
  const sql = 'SELECT name, any(checksum) AS checksum FROM schema_migrations GROUP BY name'
  const rows = await clickHouse.query('reading migrations', { sql })
  return rows.map((row) => ({ name: String(row.name), checksum: String(row.checksum) }))
}

async function using<T>(clickHouse: ClickHouse, work: (clickHouse: ClickHouse) => Promise<T>): Promise<T> {
  try {
    return await work(clickHouse)
  } finally {
    await clickHouse.close()
  }
}
