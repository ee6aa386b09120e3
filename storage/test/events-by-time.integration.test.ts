import { randomUUID } from 'node:crypto'
import {
  type ClickHouse,
  clickHouseMigrations,
  eventsRetention,
  migrateClickHouse,
  openClickHouse,
} from '@millrace/storage/clickhouse'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { moveTable } from '../src/clickhouse/table-move.ts'
import { clickHouseOptionsOfTests } from './servers.ts'

const server = openClickHouse({ ...clickHouseOptionsOfTests(), database: 'default' })
const before = clickHouseMigrations().slice(0, 2)
const move = {
  table: 'events',
  next: 'events_next',
  kept: 'events_before_0003',
  sortingKey: 'timestamp, event_id, user_id, event_type',
  timeColumn: 'timestamp',
}
const rows = 4_000
// Some are sent twice, with another value.
const events = (
  from: number,
) => `INSERT INTO events SELECT concat('e', toString(number % 3900)), concat('u', toString(number % 50)),
  ['view', 'click'][1 + number % 2], fromUnixTimestamp64Milli(1790748000000 + number % 3900 * 40000) AS timestamp, number, '{}', timestamp + toIntervalMillisecond(number), 'test',
  number % 3, intDiv(number, 3) FROM numbers(${from}, ${rows / 2}) SETTINGS async_insert = 0, optimize_on_insert = 0`
let options: ReturnType<typeof clickHouseOptionsOfTests>
let clickHouse: ClickHouse

beforeEach(() => {
  options = { ...clickHouseOptionsOfTests(), database: `millrace_test_${randomUUID().slice(0, 8)}` }
  clickHouse = openClickHouse(options)
})
afterEach(async () => {
  await clickHouse.close()
  await server.command('cleaning up', `DROP DATABASE IF EXISTS ${options.database}`)
})
afterAll(() => server.close())

const tables = async () => {
  const sql = 'SELECT name FROM system.tables WHERE database = {database:String} ORDER BY name'
  const found = await clickHouse.query('listing', { sql, params: { database: options.database } })
  return found.map(({ name }) => name)
}

/** Everything that can be seen of the events, with what was sent twice once. */
const contentOf = async (table: string) =>
  await clickHouse.query('summing up', {
    sql: `SELECT count() AS events, toString(groupBitXor(sipHash64(event_id, user_id, event_type, timestamp, value, metadata, received_at, source, _partition, _offset))) AS sum
          FROM ${table} FINAL`,
  })
const countOf = async (table: string) =>
  (await clickHouse.query('counting', { sql: `SELECT count() AS rows FROM ${table}` }))[0]?.rows

async function fillOldTable(): Promise<void> {
  await migrateClickHouse(options, before)
  await clickHouse.command('keeping the parts as they are', 'SYSTEM STOP MERGES events')
  await clickHouse.command('inserting', events(0))
  await clickHouse.command('inserting', events(rows / 2))
  await clickHouse.command(
    'inserting',
    `INSERT INTO events SETTINGS async_insert = 0 VALUES ('early', 'u', 'view', '1969-12-31 23:59:59.999', 1, '{}', 0, 'test', 0, 100000),
     ('late', 'u', 'view', '2299-12-31 23:59:59.999', 1, '{}', 0, 'test', 0, 100001)`,
  )
}

describe('the migration to events by time', () => {
  it('leaves a new database with one table of events', async () => {
    await migrateClickHouse(options)
    expect(await tables()).toEqual(['dead_letters', 'events', 'events_per_minute', 'schema_migrations', 'stats'])
    const [table] = await clickHouse.query('reading the order', {
      sql: `SELECT sorting_key FROM system.tables WHERE database = {database:String} AND name = 'events'`,
      params: { database: options.database },
    })
    expect(table).toEqual({ sorting_key: move.sortingKey })
  })

  it('copies every row as it is, and keeps the old table', async () => {
    await fillOldTable()
    const content = await contentOf('events')
    expect(content).toMatchObject([{ events: 3_902 }])
    await migrateClickHouse(options)
    expect(await contentOf('events')).toEqual(content)
    expect(await contentOf('events_before_0003')).toEqual(content)
    expect(await tables()).not.toContain('events_next')
  })

  it('goes on wherever it ended, and no row is there twice', async () => {
    await fillOldTable()
    const content = await contentOf('events')
    const next = clickHouseMigrations()[2]
    const ends: string[] = []
    for (let done = 1; done < 200; done++) {
      // As the program does it: the statements first, each time.
      for (const statement of next?.statements ?? []) await clickHouse.command('migrating', statement)
      const failing = endingAfter(clickHouse, done)
      const end = await moveTable(failing, move).then(
        () => 'done',
        (error: unknown) => String(error),
      )
      ends.push(end)
      if (end === 'done') break
      expect(end).toContain('ended here')
      expect(await tables(), 'there is always a table to ask').toContain('events')
      expect(await contentOf('events')).toEqual(content)
    }
    expect(ends.length).toBeGreaterThan(5)
    expect(ends.at(-1)).toBe('done')
    expect(await contentOf('events')).toEqual(content)
    // The resends of the two old parts meet in the copy, which has them once or, until its parts are merged, twice: never more.
    expect(Number(await countOf('events'))).toBeLessThanOrEqual(rows + 2)
    expect(await countOf('events_before_0003')).toBe(rows + 2)
  })

  it('copies again what has grown since it was copied', async () => {
    await fillOldTable()
    const next = clickHouseMigrations()[2]
    for (const statement of next?.statements ?? []) await clickHouse.command('migrating', statement)
    // Every partition is in its place, the exchange is still to come.
    const end = moveTable(endingAfter(clickHouse, Number.POSITIVE_INFINITY, 'EXCHANGE'), move)
    await expect(end).rejects.toThrow('ended here')
    const late = `('after', 'u', 'view', '2026-09-30 12:00:00.000', 1, '{}', 0, 'test', 0, 200000)`
    await clickHouse.command('inserting', `INSERT INTO events SETTINGS async_insert = 0 VALUES ${late}`)
    const content = await contentOf('events')
    await moveTable(clickHouse, move)
    expect(await contentOf('events')).toEqual(content)
    expect(content).toMatchObject([{ events: 3_903 }])
  })

  it('ends with an error that says what to do while rows go on arriving', async () => {
    await fillOldTable()
    const next = clickHouseMigrations()[2]
    for (const statement of next?.statements ?? []) await clickHouse.command('migrating', statement)
    let offset = 300_000
    const busy: ClickHouse = {
      ...clickHouse,
      command: async (what, sql) => {
        await clickHouse.command(what, sql)
        if (!sql.includes('REPLACE PARTITION')) return
        const row = `('busy', 'u', 'view', '2026-09-30 12:00:00.000', 1, '{}', 0, 'test', 0, ${offset++})`
        await clickHouse.command('inserting', `INSERT INTO events SETTINGS async_insert = 0 VALUES ${row}`)
      },
    }
    await expect(moveTable(busy, move)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' })
    expect(await countOf('events')).toBeGreaterThan(rows)
  })
})

describe('how long events are kept', () => {
  it('is for ever, as many days as were set, and for ever again', async () => {
    await migrateClickHouse(options)
    expect(await eventsRetention(clickHouse)).toBeUndefined()
    await migrateClickHouse({ ...options, eventsRetentionDays: 400 })
    expect(await eventsRetention(clickHouse)).toBe(400)
    await migrateClickHouse(options)
    expect(await eventsRetention(clickHouse), 'what is not set stays').toBe(400)
    await migrateClickHouse({ ...options, eventsRetentionDays: 0 })
    expect(await eventsRetention(clickHouse)).toBeUndefined()
    await expect(migrateClickHouse({ ...options, eventsRetentionDays: -1 })).rejects.toMatchObject({
      code: 'INVALID_QUERY',
    })
  })

  it('drops the parts that are older, and no younger event', async () => {
    await migrateClickHouse(options)
    const insert = (id: string, time: string) =>
      clickHouse.command(
        'inserting',
        `INSERT INTO events SELECT '${id}', 'u', 'view', ${time}, 1, '{}', now64(3), 'test', 0, 1 SETTINGS async_insert = 0`,
      )
    await insert('old', `now64(3) - INTERVAL 100 DAY`)
    await insert('new', 'now64(3)')
    await insert('far', `toDateTime64('2299-12-31 23:59:59', 3, 'UTC')`)
    await migrateClickHouse({ ...options, eventsRetentionDays: 30 })
    await clickHouse.command('merging', 'ALTER TABLE events MATERIALIZE TTL SETTINGS mutations_sync = 1')
    await clickHouse.command('merging', 'OPTIMIZE TABLE events FINAL')
    const left = await clickHouse.query('reading', { sql: 'SELECT event_id FROM events ORDER BY event_id' })
    expect(left).toEqual([{ event_id: 'far' }, { event_id: 'new' }])
  })
})

/** A ClickHouse whose client dies right after the command number `last`, or after the first one that begins with `word`: it was done all the same. */
function endingAfter(real: ClickHouse, last: number, word?: string): ClickHouse {
  let number = 0
  return {
    ...real,
    command: async (what, sql) => {
      if (word !== undefined && sql.startsWith(word)) throw new Error('ended here')
      await real.command(what, sql)
      if (++number === last) throw new Error('ended here')
    },
  }
}
