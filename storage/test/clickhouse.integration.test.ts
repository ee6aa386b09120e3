import {
  clickHouseMigrations,
  createEventRepository,
  createStatsRepository,
  migrateClickHouse,
  openClickHouse,
  type StoredEvent,
} from '@millrace/storage/clickhouse'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clickHouseOptionsOfTests, uniqueName } from './servers.ts'

const options = clickHouseOptionsOfTests()
const clickHouse = openClickHouse(options)
const events = createEventRepository(clickHouse)
const stats = createStatsRepository(clickHouse)

beforeAll(async () => {
  await migrateClickHouse(options)
})
afterAll(() => clickHouse.close())

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

async function insertEvents(rows: readonly StoredEvent[]): Promise<void> {
  const values = rows.map((row, index) => {
    const time = `fromUnixTimestamp64Milli(${row.timestampMs})`
    const texts = [row.eventId, row.userId, row.eventType].map(quoted).join(', ')
    return `(${texts}, ${time}, ${row.value ?? 'NULL'}, ${quoted(row.metadata)}, ${time}, 'test', 0, ${index})`
  })
  await clickHouse.command('inserting', `INSERT INTO events SETTINGS async_insert=0 VALUES ${values.join(', ')}`)
}

describe('migrateClickHouse', () => {
  it('has nothing to do the second time', async () => {
    expect(await migrateClickHouse(options)).toEqual([])
  })

  it('refuses a migration that was changed after it had been applied', async () => {
    const changed = clickHouseMigrations().map((migration) => ({ ...migration, checksum: 'f'.repeat(64) }))
    await expect(migrateClickHouse(options, changed)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' })
  })
})

describe('EventRepository.receipts and storedSince', () => {
  const userId = uniqueName('receipt')
  const timeMs = Date.UTC(2026, 1, 3)
  const rows = ["a'b\\c", 'ü, ]', 'plain'].map((name) => ({
    eventId: `${userId} ${name}`,
    userId,
    eventType: 'view',
    timestampMs: timeMs,
    value: null,
    metadata: '{}',
  }))
  const ids = rows.map(({ eventId }) => eventId)

  beforeAll(() => insertEvents(rows))

  it('says where the record of an id lies', async () => {
    expect(await events.receipts(ids[1] ?? '', 10)).toEqual([
      {
        eventId: ids[1],
        userId,
        eventType: 'view',
        timestampMs: timeMs,
        receivedAtMs: timeMs,
        partition: 0,
        offset: 1,
      },
    ])
    expect(await events.receipts('nobody', 10)).toEqual([])
  })

  it('finds those of the ids that are there, whatever characters they have', async () => {
    const range = { fromMs: timeMs, toMs: timeMs }
    const found = await events.storedSince({ ...range, eventIds: [...ids, 'nobody'] })
    const wanted = ids.map((eventId) => ({
      eventId,
      userId,
      eventType: 'view',
      timestampMs: timeMs,
      receivedAtMs: timeMs,
    }))
    expect(found).toHaveLength(wanted.length)
    expect(found).toEqual(expect.arrayContaining(wanted))
    expect(await events.storedSince({ eventIds: ids, fromMs: timeMs + 1, toMs: timeMs + 5 })).toEqual([])
  })
})

describe('EventRepository.page', () => {
  const userId = uniqueName("o'hara\\")
  const startMs = Date.UTC(2026, 0, 31, 23, 59, 58)
  const stored: StoredEvent[] = Array.from({ length: 23 }, (_, index) => ({
    eventId: `e-${String(index).padStart(2, '0')}`,
    userId,
    eventType: index % 3 === 0 ? 'click' : 'view',
    // Some share a time; they cross midnight, and a month.
    timestampMs: startMs + Math.floor(index / 2) * 500,
    value: index % 4 === 0 ? null : index + 0.25,
    metadata: `{"n":${index},"text":"ü \\u0000"}`,
  }))
  const newestFirst = stored.toSorted((a, b) => b.timestampMs - a.timestampMs || (a.eventId < b.eventId ? 1 : -1))

  beforeAll(async () => {
    await insertEvents(stored)
    await insertEvents(stored.slice(0, 5)) // resends
  })

  it('returns every event exactly, once, newest first, over pages of any size', async () => {
    for (const limit of [1, 7, 23, 100]) {
      const seen: StoredEvent[] = []
      let cursor: string | undefined
      do {
        const page = await events.page({ userId, limit, cursor })
        seen.push(...page.events)
        cursor = page.nextCursor ?? undefined
      } while (cursor !== undefined)
      expect(seen).toEqual(newestFirst)
    }
  })

  it('loses and repeats nothing while events arrive before, between and after', async () => {
    const reader = uniqueName('meanwhile')
    const eventAt = (name: string, timestampMs: number): StoredEvent => ({
      eventId: name,
      userId: reader,
      eventType: 'view',
      timestampMs,
      value: null,
      metadata: '{}',
    })
    // Three at each time, so that pages end among events of one time.
    const there = Array.from({ length: 12 }, (_, i) => eventAt(`m-${i}`, startMs + Math.floor(i / 3)))
    await insertEvents(there)
    const seen: StoredEvent[] = []
    let cursor: string | undefined
    let page = 0
    do {
      const found = await events.page({ userId: reader, limit: 2, cursor })
      seen.push(...found.events)
      cursor = found.nextCursor ?? undefined
      const last = found.events.at(-1)
      if (last === undefined || page++ > 3) continue
      // At the time at which the page ended, on both sides of it, and newer and older than everything; and what was shown comes once more.
      const times = [startMs + 1_000, last.timestampMs, last.timestampMs, startMs - 1]
      await insertEvents([...times.map((ms, i) => eventAt(`${i === 1 ? 'a' : 'z'}-${page}-${i}`, ms)), last])
    } while (cursor !== undefined)
    const isFirst = (event: StoredEvent) => event.eventId.startsWith('m-')
    const names = (list: readonly StoredEvent[]) => list.map(({ eventId }) => eventId)
    expect(names(seen.filter(isFirst)).sort()).toEqual(names(there).sort())
    expect(new Set(names(seen)).size, 'nothing comes twice').toBe(seen.length)
    expect(names(seen), 'what came in before the cursor is not among later pages').not.toContain('z-1-0')
    expect(names(seen), 'what came in behind it is').toContain('z-1-3')
    const keys = seen.map(({ timestampMs, eventId }) => `${timestampMs} ${eventId}`)
    expect(keys).toEqual(keys.toSorted().reverse())
  })

  it('filters by type and by time, end excluded', async () => {
    const clicks = await events.page({ userId, eventType: 'click', limit: 100 })
    expect(clicks.events).toEqual(newestFirst.filter((event) => event.eventType === 'click'))
    const range = { fromMs: startMs + 1_000, toMs: startMs + 2_000 }
    const page = await events.page({ userId, limit: 100, ...range })
    expect(page.events).toEqual(
      newestFirst.filter((event) => event.timestampMs >= range.fromMs && event.timestampMs < range.toMs),
    )
    expect(page.nextCursor).toBeNull()
  })

  it('binds values, whatever they hold', async () => {
    expect((await events.page({ userId: "x' OR 1=1 --", limit: 5 })).events).toEqual([])
  })

  it('refuses what is out of bounds', async () => {
    const code = 'INVALID_QUERY'
    await expect(events.page({ limit: 0 })).rejects.toMatchObject({ code })
    await expect(events.page({ limit: 10, fromMs: 1e15 })).rejects.toMatchObject({ code })
    await expect(events.page({ limit: 10, cursor: 'abc' })).rejects.toMatchObject({ code })
  })
})

describe('StatsRepository.range', () => {
  it('returns the newest state of each window, oldest window first', async () => {
    const eventType = uniqueName('type')
    const startMs = Date.UTC(2026, 4, 1)
    const insert = (
      rows: readonly { window: number; count: number; final: boolean; updatedMs: number; offset: number }[],
    ) => {
      const values = rows.map(({ window, count, final, updatedMs, offset }) => {
        const times = [startMs + window * 10_000, startMs + (window + 1) * 10_000, updatedMs]
        const [start, end, updated] = times.map((ms) => `fromUnixTimestamp64Milli(${ms})`)
        return `('${eventType}', '10s', ${start}, ${end}, ${count}, ${count}, ${count * 2}, 2, NULL, 3.5, ${final}, ${updated}, 1, ${offset})`
      })
      return clickHouse.command('inserting', `INSERT INTO stats SETTINGS async_insert=0 VALUES ${values.join(', ')}`)
    }
    const at = Date.UTC(2026, 4, 2)
    await insert([
      { window: 1, count: 5, final: false, updatedMs: at, offset: 1 },
      { window: 0, count: 7, final: false, updatedMs: at, offset: 2 },
    ])
    await insert([
      { window: 1, count: 6, final: false, updatedMs: at + 1, offset: 3 },
      { window: 0, count: 9, final: true, updatedMs: at + 2, offset: 4 },
    ])
    await insert([
      { window: 0, count: 10, final: false, updatedMs: at + 3, offset: 5 }, // more has arrived for a final window
      { window: 1, count: 4, final: false, updatedMs: at - 5, offset: 0 }, // an old one, replayed
    ])
    const query = { eventType, interval: '10s', fromMs: startMs, toMs: startMs + 20_000 } as const
    const windows = await stats.range({ ...query, limit: 10 })
    expect(windows.map(({ windowStartMs, count, final }) => ({ windowStartMs, count, final }))).toEqual([
      { windowStartMs: startMs, count: 10, final: false },
      { windowStartMs: startMs + 10_000, count: 6, final: false },
    ])
    expect(windows[0]).toMatchObject({
      eventType,
      interval: '10s',
      windowEndMs: startMs + 10_000,
      valueCount: 10,
      sum: 20,
      avg: 2,
      min: null,
      max: 3.5,
      updatedAtMs: at + 3,
    })
    expect(await stats.range({ ...query, limit: 1 })).toHaveLength(1)
    expect(await stats.range({ ...query, toMs: startMs + 1, limit: 10 })).toHaveLength(1)
    expect(await stats.range({ ...query, interval: '1m', limit: 10 })).toEqual([])
    const gone = stats.range({ ...query, limit: 10, signal: AbortSignal.abort() })
    await expect(gone, 'nobody waits').rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

describe('events_per_minute', () => {
  it('has each minute once, in its newest state, whatever is inserted again', async () => {
    const eventType = uniqueName('minute')
    const window = (count: number, offset: number, interval = '1m') =>
      `INSERT INTO stats SETTINGS async_insert = 0, insert_deduplication_token = '${eventType}-${offset}-${interval}'
       VALUES ('${eventType}', '${interval}', '2026-05-01 12:00:00', '2026-05-01 12:01:00', ${count}, 1, 2.5, 2.5, 2.5, 2.5, true,
         fromUnixTimestamp64Milli(1780000000000 + ${offset}), 0, ${offset})`
    for (const sql of [
      window(5, 1),
      window(7, 2),
      window(7, 2), // the same insert again
      window(5, 1).replace(`${eventType}-1-1m`, `${eventType}-replay`), // a replay from Kafka, in other batches
      window(7, 2, '10s'),
    ]) {
      await clickHouse.command('inserting', sql)
    }
    const rows = await clickHouse.query('reading the view', {
      sql: `SELECT toUnixTimestamp64Milli(minute) AS minute_ms, events, sum, final FROM events_per_minute
            WHERE event_type = {event_type:String} AND minute >= '2026-05-01' AND minute < '2026-05-02'`,
      params: { event_type: eventType },
    })
    expect(rows).toEqual([{ minute_ms: Date.UTC(2026, 4, 1, 12), events: 7, sum: 2.5, final: true }])
  })
})

describe('openClickHouse', () => {
  it('says SCHEMA_MISMATCH and UNAVAILABLE for what they are', async () => {
    const missing = clickHouse.query('reading nothing', { sql: 'SELECT * FROM no_such_table' })
    await expect(missing).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH', retryable: false })
    const away = openClickHouse({ ...options, url: 'http://127.0.0.1:1' })
    await expect(away.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true })
    await expect(away.insertAvro({ table: 'events', body: Buffer.alloc(1), token: 't' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    })
    await away.close()
  })

  it('refuses a body that is no Avro container', async () => {
    const insert = clickHouse.insertAvro({ table: 'events', body: Buffer.from('not avro'), token: uniqueName('t') })
    await expect(insert).rejects.toMatchObject({ retryable: false })
  })
})
