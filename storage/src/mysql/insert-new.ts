import { getTableColumns, getTableName } from 'drizzle-orm'
import type { MySqlTable } from 'drizzle-orm/mysql-core'
import type { Connection, ResultSetHeader } from 'mysql2/promise'

/**
 * Inserts rows in one statement, all of them or none; rows whose key exists already are left alone, and stay locked until the transaction ends. Values are bound, and columns
 * are those of the Drizzle table: this is what Drizzle's own insert does, without building an object per value (2 µs against 50 µs per row of 22 columns).
 * True when the database says that every row is new; false when some were there already, or when it does not say, as for a single row.
 */
export type InsertNew = <T extends MySqlTable>(table: T, rows: readonly T['$inferInsert'][]) => Promise<boolean>

/** Makes the function for one connection. */
export function insertNewOn(connection: Pick<Connection, 'query'>): InsertNew {
  return async (table, rows) => {
    if (rows.length === 0) return true
    const columns = Object.entries(getTableColumns(table))
    const names = columns.map(([, column]) => `\`${column.name}\``)
    const [first = ''] = names
    const values = rows.map((row: Readonly<Record<string, unknown>>) =>
      columns.map(([key, column]) => {
        const value = row[key]
        return value === undefined || value === null ? null : column.mapToDriverValue(value)
      }),
    )
    const sql = `INSERT INTO \`${getTableName(table)}\` (${names}) VALUES ? ON DUPLICATE KEY UPDATE ${first} = ${first}`
    const [result] = await connection.query<ResultSetHeader>(sql, [values])
    return saysAllNew(result.info)
  }
}

/** Both servers write `Records: 500  Duplicates: 0  Warnings: 0`; one that speaks another language says nothing to us. */
function saysAllNew(info: string): boolean {
  return /\bDuplicates: 0\b/.test(info)
}
