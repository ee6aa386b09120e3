import { randomUUID } from 'node:crypto'
import {
  type ApiLogPartitions,
  createApiLogPartitions,
  createApiLogRepository,
  type Mysql,
  migrateMysql,
  mysqlMigrations,
  openMysql,
} from '@millrace/storage/mysql'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { apiLogOf, mysqlOfTests, mysqlOptionsOfTests } from './servers.ts'

const dayMs = 86_400_000
const today = Date.UTC(2026, 10, 21)
const migration = '0006_api_log_partitions'

const server = mysqlOfTests()
const made: { readonly name: string; readonly mysql: Mysql }[] = []
afterAll(async () => {
  for (const { name, mysql } of made) {
    await mysql.close()
    await server.run('cleaning up', (database) => database.execute(sql.raw(`DROP DATABASE ${name}`)))
  }
  await server.close()
})

/** A database of its own, migrated up to, and without, a migration; to the end when none is named. */
async function freshDatabase(before?: string): Promise<Mysql> {
  const name = `millrace_partitions_${randomUUID().slice(0, 8)}`
  await server.run('making a database', (database) => database.execute(sql.raw(`CREATE DATABASE ${name}`)))
  const mysql = openMysql({ ...mysqlOptionsOfTests(), database: name, connectionsMax: 6 })
  made.push({ name, mysql })
  const migrations = mysqlMigrations()
  const end = migrations.findIndex((one) => one.name === before)
  await migrateMysql(mysql, end < 0 ? migrations : migrations.slice(0, end))
  return mysql
}

/** One row of each table at a time. */
async function store(mysql: Mysql, ...times: readonly number[]): Promise<void> {
  const logs = times.map((received_at, index) => ({
    offset: index,
    value: apiLogOf({ received_at, responded_at: received_at + 5 }),
  }))
  const range = {
    group: 'g',
    topic: randomUUID(),
    partition: 0,
    firstOffset: 0,
    nextOffset: logs.length,
    settledOffset: 0,
  }
  expect(await createApiLogRepository(mysql).storeBatch(range, logs)).toEqual([])
}

async function select(mysql: Mysql, text: string): Promise<readonly Record<string, unknown>[]> {
  const result: unknown = await mysql.run('reading', (database) => database.execute(sql.raw(text)))
  return Array.isArray(result) && Array.isArray(result[0]) ? result[0] : []
}

/** How many rows each partition of both tables has, in their order; empty ones left out. */
async function rowsByPartition(mysql: Mysql): Promise<readonly Record<string, number>[]> {
  const found: Record<string, number>[] = []
  for (const table of ['api_request_logs', 'api_response_logs']) {
    const counts: Record<string, number> = {}
    for (const name of await partitionNames(mysql, table)) {
      const [row] = await select(mysql, `SELECT COUNT(*) AS n FROM ${table} PARTITION (${name})`)
      if (Number(row?.n) > 0) counts[name] = Number(row?.n)
    }
    found.push(counts)
  }
  return found
}

async function partitionNames(mysql: Mysql, table = 'api_request_logs'): Promise<readonly string[]> {
  const rows = await select(
    mysql,
    `SELECT partition_name AS name FROM information_schema.partitions
      WHERE table_schema = DATABASE() AND table_name = '${table}' ORDER BY partition_ordinal_position`,
  )
  return rows.map((row) => String(row.name))
}

describe('the migration to partitions', () => {
  let mysql: Mysql
  beforeAll(async () => {
    mysql = await freshDatabase(migration)
  })

  it('keeps the rows, and can be repeated from any point', async () => {
    await store(mysql, today - 100 * dayMs, today - dayMs, today)
    const applied = await migrateMysql(mysql)
    expect(applied[0]).toBe(migration)
    const statements = mysqlMigrations().find(({ name }) => name === migration)?.statements ?? []
    await mysql.run('repeating', async (database) => {
      for (const statement of statements) await database.execute(sql.raw(statement))
    })
    expect(await rowsByPartition(mysql)).toEqual([{ later: 3 }, { later: 3 }])
  })

  it('is followed by days: every row goes to its own, and those past their retention go', async () => {
    const partitions = createApiLogPartitions(mysql, () => new Date(today + 3_600_000))
    const changes = await partitions.maintain({ retentionDays: 2 })
    const days = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28].map((day) => `p202611${day}`)
    expect(changes).toEqual(
      ['api_request_logs', 'api_response_logs'].map((table) => ({
        table,
        made: ['p20261118', ...days],
        dropped: ['p20261118'],
      })),
    )
    expect(await partitionNames(mysql)).toEqual([...days, 'later'])
    const kept = { p20261120: 1, p20261121: 1 }
    expect(await rowsByPartition(mysql)).toEqual([kept, kept])
  })
})

describe('ApiLogPartitions', () => {
  let mysql: Mysql
  let nowMs = today
  let partitions: ApiLogPartitions
  beforeAll(async () => {
    mysql = await freshDatabase()
    partitions = createApiLogPartitions(mysql, () => new Date(nowMs))
  })

  it('lets one of two work, and leaves nothing to do after it', async () => {
    const both = await Promise.all([
      partitions.maintain({ retentionDays: 3 }),
      partitions.maintain({ retentionDays: 3 }),
    ])
    const changes = both.flatMap((change) => change ?? [])
    expect(changes.filter((change) => change.made.length > 0)).toHaveLength(2)
    const again = await partitions.maintain({ retentionDays: 3 })
    expect(again).toEqual(['api_request_logs', 'api_response_logs'].map((table) => ({ table, made: [], dropped: [] })))
  })

  it('has a day on each side of midnight, takes rows of any time, and moves them when their day is made', async () => {
    const midnight = today + dayMs
    const beyond = today + 10 * dayMs
    await store(mysql, midnight - 1, midnight, today - 50 * dayMs, beyond)
    const before = { p20261121: 2, p20261122: 1, later: 1 }
    expect((await rowsByPartition(mysql))[0]).toEqual(before)
    // The response to the last request of the day is of the next one.
    expect((await rowsByPartition(mysql))[1]).toEqual({ p20261121: 1, p20261122: 2, later: 1 })
    nowMs = today + 5 * dayMs
    const [change] = (await partitions.maintain({ retentionDays: 3 })) ?? []
    expect(change?.dropped).toEqual(['p20261121', 'p20261122'])
    expect(await rowsByPartition(mysql)).toEqual([{ p20261201: 1 }, { p20261201: 1 }])
  })

  it('changes days while rows are stored: none is lost, and none refused', async () => {
    const [{ n: before } = { n: 0 }] = await select(mysql, 'SELECT COUNT(*) AS n FROM api_request_logs')
    let days = 0
    const changing = (async () => {
      for (; days < 8; days++) {
        nowMs += dayMs
        // It gives up when the rows of others take longer than it may wait, and is asked again, as by the sink.
        await vi.waitFor(() => partitions.maintain({ retentionDays: 400 }), { timeout: 30_000 })
      }
    })()
    let stored = 0
    for (let last = false; !last; ) {
      last = days >= 8
      // Today, tomorrow, and a day that has none yet.
      await store(mysql, nowMs, nowMs + dayMs, nowMs + 9 * dayMs)
      stored += 3
    }
    await changing
    const [{ n: after } = { n: 0 }] = await select(mysql, 'SELECT COUNT(*) AS n FROM api_request_logs')
    expect(Number(after) - Number(before)).toBe(stored)
  })

  it('does not wait long behind somebody who reads, and so holds up nobody else', async () => {
    nowMs += dayMs
    await mysql.transaction('reading for long', async (database) => {
      await database.execute(sql.raw('SELECT COUNT(*) FROM api_request_logs'))
      await expect(partitions.maintain({ retentionDays: 400 })).rejects.toMatchObject({
        code: 'WRITE_CONFLICT',
        retryable: true,
      })
      await store(mysql, nowMs)
    })
    const [change] = (await partitions.maintain({ retentionDays: 400 })) ?? []
    expect(change?.made).toHaveLength(1)
  })

  it('says what is missing when the tables have no partitions', async () => {
    const old = createApiLogPartitions(await freshDatabase(migration))
    await expect(old.maintain({ retentionDays: 1 })).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
  })
})
