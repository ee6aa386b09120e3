import { migrateMysql } from '@millrace/storage/mysql'
import { sql } from 'drizzle-orm'
import { getTableConfig, type MySqlTable } from 'drizzle-orm/mysql-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as schema from '../src/mysql/schema.ts'
import { mysqlOfTests } from './servers.ts'

const mysql = mysqlOfTests()
beforeAll(() => migrateMysql(mysql))
afterAll(() => mysql.close())

async function rowsOf(statement: ReturnType<typeof sql>): Promise<Record<string, unknown>[]> {
  const result: unknown = await mysql.run('reading the schema', (database) => database.execute(statement))
  return Array.isArray(result) && Array.isArray(result[0]) ? result[0] : []
}

/** MariaDB still writes a display width after integers; MySQL 8.4 does only after tinyint(1). */
function plainType(type: unknown): string {
  const text = String(type).toLowerCase()
  if (text === 'boolean') return 'tinyint(1)'
  return text === 'tinyint(1)' ? text : text.replace(/^(smallint|int|bigint)\(\d+\)/, '$1')
}

/** Columns in order, and indexes with their columns, as Drizzle describes a table. */
function described(table: MySqlTable) {
  const config = getTableConfig(table)
  const primary =
    config.primaryKeys[0]?.columns.map(({ name }) => name) ??
    config.columns.flatMap((column) => (column.primary ? [column.name] : []))
  const indexes = config.indexes.map(({ config: index }) => {
    const columns = index.columns.map((column) => ('name' in column ? column.name : ''))
    return `${index.unique === true ? 'unique ' : ''}${index.name}(${columns})`
  })
  return {
    columns: config.columns.map(
      (column) => `${column.name} ${plainType(column.getSQLType())}${column.notNull ? ' not null' : ''}`,
    ),
    indexes: [`unique PRIMARY(${primary})`, ...indexes].sort(),
  }
}

async function migrated(table: MySqlTable) {
  const { name } = getTableConfig(table)
  const columns = await rowsOf(sql`SELECT column_name AS name, column_type AS type, is_nullable AS nullable
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ${name} ORDER BY ordinal_position`)
  const indexes = await rowsOf(sql`SELECT index_name AS name, MIN(non_unique) AS repeats,
      GROUP_CONCAT(column_name ORDER BY seq_in_index) AS columns_
    FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ${name} GROUP BY index_name`)
  return {
    columns: columns.map((row) => `${row.name} ${plainType(row.type)}${row.nullable === 'NO' ? ' not null' : ''}`),
    indexes: indexes.map((row) => `${Number(row.repeats) === 0 ? 'unique ' : ''}${row.name}(${row.columns_})`).sort(),
  }
}

it.each(Object.values(schema).map((table) => [getTableConfig(table).name, table] as const))(
  'the migrations make %s as Drizzle describes it',
  async (_name, table) => {
    expect(await migrated(table)).toEqual(described(table))
  },
)
