import { migrationStatus } from '../migration-status.ts'
import type { MigrationTarget } from '../migration-target.ts'
import { type ClickHouse, openClickHouse } from './clickhouse.ts'
import { type ClickHouseMigrationOptions, clickHouseMigrations, migrateClickHouse } from './migrate.ts'
import { numberOf, textOf } from './row.ts'

/** ClickHouse as a migration command sees it: also before its database exists. Makes no request yet. */
export function clickHouseMigrationTarget(options: ClickHouseMigrationOptions): MigrationTarget {
  const server = openClickHouse({ ...options, database: 'default' })
  return {
    name: 'ClickHouse',
    ping: server.ping,
    status: async () => migrationStatus(clickHouseMigrations(), await readApplied(server, options.database)),
    migrate: () => migrateClickHouse(options),
    close: server.close,
  }
}

/** A database that was never migrated has no list of migrations, or is not there. */
async function readApplied(server: ClickHouse, database: string) {
  const params = { database }
  const found = await server.query('reading migrations', {
    sql: `SELECT name FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'`,
    params,
  })
  if (found.length === 0) return []
  const rows = await server.query('reading migrations', {
    sql: `SELECT name, any(checksum) AS checksum, toUnixTimestamp64Milli(min(applied_at)) AS applied_ms
          FROM {database:Identifier}.schema_migrations GROUP BY name`,
    params,
  })
  return rows.map((row) => ({
    name: textOf(row, 'name'),
    checksum: textOf(row, 'checksum'),
    appliedAt: new Date(numberOf(row, 'applied_ms')),
  }))
}
