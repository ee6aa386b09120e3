import { sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { partitionDaysAhead, partitionLockSeconds, partitionTimeoutMs } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { type LogPartition, lastPartition, partitionOfDay, planPartitions, startOfDay } from './partition-plan.ts'

/** What was done to one table. */
export interface PartitionChange {
  readonly table: string
  /** Names of the days' partitions that were made. */
  readonly made: readonly string[]
  /** Names of those that were dropped, with all their rows. */
  readonly dropped: readonly string[]
}

/** The days of the API's log. */
export interface ApiLogPartitions {
  /**
   * Makes the partitions of the coming days and drops those whose rows are all older than `retentionDays` whole days. May be called at any time and by several processes: one works,
   * the others get `undefined`. Rows are taken at all times, also when it was not called for long: what has no day of its own is in the last partition, and moves when its day is made.
   * A statement waits for those who read or write the table for a few seconds at most, and then throws `WRITE_CONFLICT`: call again later. Throws `SCHEMA_MISMATCH` when the tables have no
   * partitions.
   */
  maintain(options: { readonly retentionDays: number }): Promise<readonly PartitionChange[] | undefined>
}

/** The tables, with the column that tells the day. */
const tables = [
  { name: 'api_request_logs', column: 'received_at' },
  { name: 'api_response_logs', column: 'responded_at' },
] as const
type LogTable = (typeof tables)[number]

/** Keeps the partitions of `api_request_logs` and `api_response_logs`. */
export function createApiLogPartitions(mysql: Mysql, now: () => Date = () => new Date()): ApiLogPartitions {
  return {
    maintain: ({ retentionDays }) =>
      mysql.run(
        'keeping the partitions of the API logs',
        async (database) => {
          if (!(await lock(database))) return undefined
          try {
            // A reader that takes minutes would otherwise hold up the statement, and the statement everybody else.
            await database.execute(sql.raw(`SET SESSION lock_wait_timeout = ${partitionLockSeconds}`))
            const changes: PartitionChange[] = []
            for (const table of tables)
              changes.push(await maintainTable(database, table, { retentionDays, now: now() }))
            return changes
          } finally {
            await database.execute(sql`SET SESSION lock_wait_timeout = DEFAULT`)
            await database.execute(sql`SELECT RELEASE_LOCK(${lockName})`)
          }
        },
        { timeoutMs: partitionTimeoutMs },
      ),
  }
}

/** Locks are per server, not per database. */
const lockName = sql`CONCAT('millrace.partitions.', DATABASE())`

/** Not waited for: whoever has it does what is to be done. */
async function lock(database: Database): Promise<boolean> {
  const [row] = await database.select({ taken: sql<number>`GET_LOCK(${lockName}, 0)` }).from(sql`(SELECT 1) AS one`)
  return row?.taken === 1
}

async function maintainTable(
  database: Database,
  table: LogTable,
  { retentionDays, now }: { readonly retentionDays: number; readonly now: Date },
): Promise<PartitionChange> {
  const partitions = await readPartitions(database, table)
  const hasDays = partitions.length > 1
  const plan = planPartitions({
    partitions,
    // Only a table that has just been migrated has rows and no days.
    oldestMs: hasDays ? undefined : await oldestRow(database, table),
    todayMs: startOfDay(now.getTime()),
    retentionDays,
    daysAhead: partitionDaysAhead,
  })
  if (plan.make.length > 0) {
    const definitions = plan.make.map(
      ({ name, belowMs }) => `PARTITION ${name} VALUES LESS THAN ('${dateText(belowMs)}')`,
    )
    const last = `PARTITION ${lastPartition} VALUES LESS THAN (MAXVALUE)`
    const into = [...definitions, last].join(', ')
    await database.execute(sql.raw(`ALTER TABLE ${table.name} REORGANIZE PARTITION ${lastPartition} INTO (${into})`))
  }
  if (plan.drop.length > 0) {
    await database.execute(sql.raw(`ALTER TABLE ${table.name} DROP PARTITION ${plan.drop.join(', ')}`))
  }
  return { table: table.name, made: plan.make.map(({ name }) => name), dropped: plan.drop }
}

/** In their order. Names that are not of ours are left to whoever made them: their rows count as the next later day's. */
async function readPartitions(database: Database, { name }: LogTable): Promise<readonly LogPartition[]> {
  const rows = await database
    .select({
      name: sql<string | null>`partition_name`,
      below: sql<string | null>`partition_description`,
    })
    .from(sql`information_schema.partitions`)
    .where(sql`table_schema = DATABASE() AND table_name = ${name}`)
    .orderBy(sql`partition_ordinal_position`)
  const partitions = rows.flatMap((row) => (row.name === null ? [] : [partitionOfDay(row.name, row.below)]))
  if (partitions.at(-1)?.name === lastPartition) return partitions
  throw new StorageError(
    'SCHEMA_MISMATCH',
    `${name} has no partition "${lastPartition}" at its end: run the migrations of MySQL`,
  )
}

async function oldestRow(database: Database, { name, column }: LogTable): Promise<number | undefined> {
  const [row] = await database
    .select({ oldest: sql<string | null>`MIN(${sql.identifier(column)})` })
    .from(sql.identifier(name).getSQL())
  const oldestMs = Date.parse(`${String(row?.oldest ?? '').replace(' ', 'T')}Z`)
  return Number.isNaN(oldestMs) ? undefined : oldestMs
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
