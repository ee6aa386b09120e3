import { type ClickHouse, StorageError } from '@millrace/storage/clickhouse'

/** A table that a replay writes into. */
export interface ReplayTable {
  /**
   * Makes the table with the structure of `source`, or takes the one that an earlier attempt at the same range has made. Throws `INVALID_QUERY` when there is a table of another purpose.
   */
  prepare(): Promise<void>
  /** Which offsets of the range it has. */
  offsets(range: {
    readonly partition: number
    readonly firstOffset: number
    readonly nextOffset: number
  }): Promise<ReadonlySet<number>>
  /** Different records of the whole table. */
  records(): Promise<number>
}

/** What a table is for: written into its comment, by which a repetition knows it. */
export interface ReplayPurpose {
  readonly table: string
  readonly source: string
  readonly topic: string
  readonly fromMs: number
  readonly toMs: number
}

/** Names come from the command line, where they were checked. */
export function createReplayTable(clickHouse: ClickHouse, purpose: ReplayPurpose): ReplayTable {
  const { table, source, topic, fromMs, toMs } = purpose
  const comment = `replay of ${topic} from ${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`
  return {
    async prepare() {
      const found = await describe(clickHouse, table)
      if (found?.comment === comment) return
      // One that was just made, by an attempt that ended before it could say what for.
      const isFresh = found !== undefined && found.comment === '' && found.rows === 0
      if (found !== undefined && !isFresh) {
        const purposeOf = found.comment === '' ? 'holds rows of another origin' : `is a ${found.comment}`
        throw new StorageError('INVALID_QUERY', `table ${table} ${purposeOf}: name a new one, or repeat that range`)
      }
      await clickHouse.command('making the table', `CREATE TABLE IF NOT EXISTS ${table} AS ${source}`)
      await clickHouse.command('making the table', `ALTER TABLE ${table} MODIFY COMMENT '${comment}'`)
    },

    async offsets({ partition, firstOffset, nextOffset }) {
      const rows = await clickHouse.query('looking for rows', {
        sql: `SELECT DISTINCT _offset FROM ${table}
              WHERE _partition = {partition:Int32} AND _offset >= {first:Int64} AND _offset < {next:Int64}`,
        params: { partition, first: firstOffset, next: nextOffset },
      })
      return new Set(rows.map((row) => Number(row._offset)))
    },

    async records() {
      const [row] = await clickHouse.query('counting rows', {
        sql: `SELECT sum(records) AS records FROM (SELECT groupBitmap(toUInt64(_offset)) AS records FROM ${table} GROUP BY _partition)`,
      })
      return Number(row?.records ?? 0)
    },
  }
}

async function describe(clickHouse: ClickHouse, table: string) {
  const [row] = await clickHouse.query('looking for the table', {
    sql: 'SELECT comment, total_rows FROM system.tables WHERE database = {database:String} AND name = {table:String}',
    params: { database: clickHouse.database, table },
  })
  return row && { comment: String(row.comment), rows: Number(row.total_rows ?? 0) }
}
