import { StorageError } from '../errors.ts'
import type { ClickHouse } from './clickhouse.ts'
import { numberOf, textOf } from './row.ts'

/** A table that gets another order, which ClickHouse cannot change in place. */
export interface TableMove {
  readonly table: string
  /** The empty table of the new order, with the columns of the old one. It ends as `table`. */
  readonly next: string
  /** What the old table is called afterwards, when it has rows. */
  readonly kept: string
  /** The new order, as `system.tables.sorting_key` has it. */
  readonly sortingKey: string
  /** The column by whose days the rows are copied. */
  readonly timeColumn: string
}

/** Passes over the partitions: what arrives during one is copied by the next. Rows still arrive after so many: whoever writes was not stopped. */
const passesMax = 3
/** Two narrow columns of a partition, however many rows it has. */
const readSecondsMax = 600
const dayMs = 86_400_000

/**
 * Copies the rows into the table of the new order and lets it take the name, in one step that queries do not notice. May end anywhere and be called again: a
 * partition is copied into a table beside, day by day, and put into its place whole; one that is there with all its rows is not copied twice. Needs room on
 * the disk for the table once more; the old one stays under another name, for somebody to drop. Throws `MIGRATION_FAILED` when rows arrive meanwhile.
 */
export async function moveTable(clickHouse: ClickHouse, move: TableMove): Promise<void> {
  const { table, next } = move
  if ((await sortingKeyOf(clickHouse, table)) !== move.sortingKey) {
    await copyPartitions(clickHouse, move)
    await clickHouse.command('giving the new table its name', `EXCHANGE TABLES ${table} AND ${next}`)
  }
  // What has the other name now is the old table, or, when all was done before, an empty one.
  if ((await partitionsOf(clickHouse, next)).length === 0) {
    await clickHouse.command('dropping the empty table', `DROP TABLE IF EXISTS ${next}`)
  } else {
    await clickHouse.command('keeping the old table', `RENAME TABLE ${next} TO ${move.kept}`)
  }
}

async function copyPartitions(clickHouse: ClickHouse, move: TableMove): Promise<void> {
  const copied = new Map<string, string>()
  for (let pass = 1; pass <= passesMax; pass++) {
    let isWhole = true
    for (const partition of await partitionsOf(clickHouse, move.table)) {
      const places = await lastPlaces(clickHouse, move.table, partition)
      if (places === copied.get(partition) || places === (await lastPlaces(clickHouse, move.next, partition))) continue
      await copyPartition(clickHouse, move, partition)
      copied.set(partition, places)
      isWhole = false
    }
    if (isWhole) return
  }
  throw new StorageError(
    'MIGRATION_FAILED',
    `rows arrive in ${move.table} while it is copied: stop the sinks, and run the migration again`,
  )
}

async function copyPartition(clickHouse: ClickHouse, move: TableMove, partition: string): Promise<void> {
  const { table, next, timeColumn } = move
  const beside = `${next}_copy`
  const columns = (await clickHouse.columns(table)).join(', ')
  await clickHouse.command('copying a table', `DROP TABLE IF EXISTS ${beside}`)
  await clickHouse.command('copying a table', `CREATE TABLE ${beside} AS ${next}`)
  for (const day of await daysOf(clickHouse, move, partition)) {
    // Half-open, and as the column is stored, so that the old table's own indexes find the day.
    const [from, to] = [day * dayMs, (day + 1) * dayMs].map((ms) => `fromUnixTimestamp64Milli(${ms})`)
    await clickHouse.command(
      `copying day ${day} of ${table}`,
      `INSERT INTO ${beside} (${columns}) SELECT ${columns} FROM ${table}
       WHERE _partition_id = '${partition}' AND ${timeColumn} >= ${from} AND ${timeColumn} < ${to}
       SETTINGS insert_deduplicate = 0`,
    )
  }
  await clickHouse.command(
    'putting a copied partition into its place',
    `ALTER TABLE ${next} REPLACE PARTITION ID '${partition}' FROM ${beside}`,
  )
  await clickHouse.command('copying a table', `DROP TABLE ${beside}`)
}

/** Where the rows of a partition end in each partition of the topic: sinks write these in order, so that two tables with the same ends have the same rows. */
async function lastPlaces(clickHouse: ClickHouse, table: string, partition: string): Promise<string> {
  const rows = await clickHouse.query('comparing tables', {
    secondsMax: readSecondsMax,
    sql: `SELECT _partition, max(_offset) AS last FROM ${table} WHERE _partition_id = {partition:String}
          GROUP BY _partition ORDER BY _partition`,
    params: { partition },
  })
  return JSON.stringify(rows)
}

async function partitionsOf(clickHouse: ClickHouse, table: string): Promise<readonly string[]> {
  const rows = await clickHouse.query('reading partitions', {
    sql: `SELECT DISTINCT partition_id FROM system.parts
          WHERE database = {database:String} AND table = {table:String} AND active AND rows > 0 ORDER BY partition_id`,
    params: { database: clickHouse.database, table },
  })
  return rows.map((row) => textOf(row, 'partition_id'))
}

/** The days since 1970 that a partition has rows of. */
async function daysOf(clickHouse: ClickHouse, { table, timeColumn }: TableMove, partition: string) {
  const rows = await clickHouse.query('reading days', {
    secondsMax: readSecondsMax,
    // Days before 1970 are rounded down, too.
    sql: `SELECT DISTINCT toInt64(floor(toUnixTimestamp64Milli(${timeColumn}) / ${dayMs})) AS day FROM ${table}
          WHERE _partition_id = {partition:String} ORDER BY day`,
    params: { partition },
  })
  return rows.map((row) => numberOf(row, 'day'))
}

async function sortingKeyOf(clickHouse: ClickHouse, table: string): Promise<string | undefined> {
  const rows = await clickHouse.query('reading the order of a table', {
    sql: 'SELECT sorting_key FROM system.tables WHERE database = {database:String} AND name = {table:String}',
    params: { database: clickHouse.database, table },
  })
  return rows[0] && textOf(rows[0], 'sorting_key')
}
