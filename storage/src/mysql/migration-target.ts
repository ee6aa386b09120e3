import { sql } from 'drizzle-orm'
import { type DatedMigration, migrationStatus } from '../migration-status.ts'
import type { MigrationTarget } from '../migration-target.ts'
import { type MysqlMigrationOptions, migrateMysql, mysqlMigrations } from './migrate.ts'
import { type Mysql, type MysqlOptions, openMysql } from './mysql.ts'
import { schemaMigrations } from './schema.ts'

/** MySQL as a migration command sees it. Opens no connection yet. */
export function mysqlMigrationTarget(options: MysqlOptions & MysqlMigrationOptions): MigrationTarget {
  const mysql = openMysql({ ...options, connectionsMax: 1 })
  return {
    name: 'MySQL',
    ping: mysql.ping,
    status: async () => migrationStatus(mysqlMigrations(), await readApplied(mysql)),
    migrate: () => migrateMysql(mysql, mysqlMigrations(), { leadKey: options.leadKey }),
    close: mysql.close,
  }
}

/** A database that was never migrated has no list of migrations. */
function readApplied(mysql: Mysql): Promise<readonly DatedMigration[]> {
  return mysql.run('reading migrations', async (database) => {
    const [row] = await database
      .select({ tables: sql<number>`COUNT(*)` })
      .from(sql`information_schema.tables`)
      .where(sql`table_schema = DATABASE() AND table_name = 'schema_migrations'`)
    return Number(row?.tables) === 0 ? [] : await database.select().from(schemaMigrations)
  })
}
