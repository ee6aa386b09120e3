import type { WholeLetter } from '@millrace/operations'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryOperations } from '../../test/memory-operations.ts'
import { openTestApp, type TestApp } from '../../test/test-app.ts'

let test: TestApp
let operations: MemoryOperations
beforeEach(async () => {
  operations = new MemoryOperations()
  test = await openTestApp({ operations })
})
afterEach(() => test.close())

const letterOf = (topic: string, offset: number): WholeLetter => ({
  offset,
  topic,
  partition: 2,
  originalOffset: 100 + offset,
  exception: 'UNDECODABLE',
  message: 'why',
  valueBytes: 5_000,
  timestamp: 1_700_000_000_000,
  isOmitted: false,
  key: Buffer.from('ada@example.com'),
  value: Buffer.alloc(5_000, 7),
  headers: [],
})

const get = (path: string) =>
  test.app.inject({ url: `/api/v1/ops/${path}`, headers: { authorization: test.bearer('admin') } })
const replay = (topic: string, body: object) =>
  test.app.inject({
    method: 'POST',
    url: `/api/v1/ops/dead-letters/${topic}/replay`,
    headers: { authorization: test.bearer('admin') },
    payload: body,
  })

describe('routes of operators', () => {
  it('are for admins', async () => {
    for (const role of ['user', 'analyst', 'producer'] as const) {
      const headers = { authorization: test.bearer(role) }
      expect((await test.app.inject({ url: '/api/v1/ops/lag', headers })).statusCode).toBe(403)
    }
    expect((await test.app.inject({ url: '/api/v1/ops/lag' })).statusCode).toBe(401)
  })

  it('tell lags and what was compared', async () => {
    const lag = await get('lag')
    expect(lag.json().groups).toEqual([
      {
        group: 'sink-clickhouse-events',
        topic: 'events',
        records: 5,
        seconds: 1.5,
        partitions: [{ partition: 0, position: null, end: 5, records: 5 }],
      },
    ])
    const minute = {
      acknowledged: 4,
      kafka: 4,
      processed: null,
      stored: 3,
      resent: 0,
      waiting: 0,
      missing: 1,
      doubled: 0,
    }
    const place = { stage: 'store' as const, records: 1, partition: 1, firstOffset: 7, nextOffset: 8 }
    operations.comparison = {
      ...operations.comparison,
      topics: [
        {
          topic: 'events',
          store: 'clickhouse',
          minutes: [{ minuteMs: 60_000, isSettled: true, deadLettered: 0, ...minute }],
          differences: [{ minuteMs: 60_000, ...place }],
          totals: { gateway: 0, store: 1, waiting: 0, processor: 0 },
          isComplete: true,
        },
      ],
    }
    const [topic] = (await get('reconciliation')).json().topics
    expect(topic.minutes).toEqual([{ minute: 60_000, is_settled: true, dead_lettered: 0, ...minute }])
    expect(topic.differences).toEqual([
      { stage: 'store', minute: 60_000, records: 1, partition: 1, first_offset: 7, next_offset: 8 },
    ])
  })

  it('list the newest letters first, and those that were put back only when asked', async () => {
    operations.kept.push(letterOf('events', 1), letterOf('events', 2), letterOf('events', 3))
    operations.replayedOffsets.add(2)
    const waiting = (await get('dead-letters/events?limit=1')).json()
    expect(waiting).toMatchObject({ waiting: 2, replayed: 1, truncated: true })
    expect(waiting.letters).toMatchObject([{ offset: 3, original_offset: 103, state: 'waiting' }])
    const all = (await get('dead-letters/events?state=all')).json()
    expect(all.letters.map(({ offset, state }: { offset: number; state: string }) => `${offset} ${state}`)).toEqual([
      '3 waiting',
      '2 done',
      '1 waiting',
    ])
    expect((await get('dead-letters/unknown')).statusCode).toBe(400)
  })

  it('show the beginning of what a letter holds, and nothing of a lead', async () => {
    operations.kept.push(letterOf('events', 1), letterOf('leads', 1))
    const shown = (await get('dead-letters/events/1')).json()
    expect(shown.value).toEqual({ bytes: 5_000, base64: Buffer.alloc(4_096, 7).toString('base64') })
    const lead = await get('dead-letters/leads/1')
    expect(lead.json()).toMatchObject({ is_withheld: true, key: null, value: null })
    expect(lead.body).not.toContain(Buffer.from('ada@example.com').toString('base64'))
    expect((await get('dead-letters/events/9')).json().code).toBe('DEAD_LETTER_NOT_FOUND')
  })

  it('put letters back, each once, and note who has asked', async () => {
    operations.kept.push(letterOf('events', 1), letterOf('events', 2))
    expect((await replay('events', { offsets: [2] })).json()).toEqual({ replayed: 1, omitted: [] })
    expect((await replay('events', {})).json()).toEqual({ replayed: 1, omitted: [] })
    expect((await replay('events', {})).json()).toEqual({ replayed: 0, omitted: [] })
    expect(test.accounts.notes.map(({ action, actor, subject }) => [action, actor, subject])).toEqual(
      Array.from({ length: 3 }, () => ['dead_letters_replayed', 'id-of-admin', 'events']),
    )
    expect((await replay('events', { offsets: [] })).statusCode).toBe(400)
  })
})
