import type { ClickHouse } from '@millrace/storage/clickhouse'
import { SinkError } from './errors.ts'
import type { WriterSchema } from './writer-schemas.ts'

/** What a table can take. */
export interface TableColumns {
  /**
   * Resolves when every field of the schema has its column: ClickHouse would leave out the others without a word. Throws `COLUMN_MISSING`, and what the database
   * throws. Asks the database once per schema, and again only while a column is missing.
   */
  check(schema: WriterSchema): Promise<void>
}

/** Watches over one table. A column that is taken away while the sink runs makes ClickHouse refuse nothing: migrations only add columns. */
export function createTableColumns(clickHouse: Pick<ClickHouse, 'columns'>, table: string): TableColumns {
  const sound = new Set<number>()

  return {
    async check({ schemaId, fieldNames }) {
      if (sound.has(schemaId)) return
      const columns = new Set(await clickHouse.columns(table))
      const missing = fieldNames.filter((name) => !columns.has(name))
      if (missing.length > 0) {
        throw new SinkError(
          'COLUMN_MISSING',
          `records of schema id ${schemaId} have ${missing.join(', ')}, for which table ${table} has no column: migrate ClickHouse; the sink waits for it`,
        )
      }
      sound.add(schemaId)
    },
  }
}
