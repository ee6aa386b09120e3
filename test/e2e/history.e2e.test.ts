import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { eventually, GatewayClient } from './gateway-client.ts'

const run = randomUUID().slice(0, 8)
const eventCount = 300_000
const perRequest = 5_000
/** A bound, not a promise: 900,000 rows and twice as many results take a quiet machine of two cores half a minute. */
const exactWithinMs = 240_000
const yearStartMs = Date.UTC(2023, 0, 1)
const yearMs = 365 * 86_400_000
const types = ['view', 'click', 'search', 'purchase', 'share'].map((name) => `${name}-${run}`)

/** The i-th event: in time order over the year, types and users interleaved so that every partition gets a different share. */
function eventAt(i: number) {
  return {
    event_id: `${run}-${i}`,
    user_id: `user-${(i * i) % 997}`,
    event_type: types[(i * 7) % types.length] ?? '',
    timestamp: yearStartMs + Math.floor((i / eventCount) * yearMs),
    metadata: { value: (i * 31) % 100 },
  }
}

interface Expected {
  readonly count: number
  readonly sum: number
}

function expectedWindows(sizeMs: number): ReadonlyMap<string, ReadonlyMap<number, Expected>> {
  const byType = new Map<string, Map<number, Expected>>(types.map((type) => [type, new Map()]))
  for (let i = 0; i < eventCount; i++) {
    const event = eventAt(i)
    const windows = byType.get(event.event_type)
    const start = Math.floor(event.timestamp / sizeMs) * sizeMs
    const { count, sum } = windows?.get(start) ?? { count: 0, sum: 0 }
    windows?.set(start, { count: count + 1, sum: sum + event.metadata.value })
  }
  return byType
}

describe('a year of history, posted in time order by one client', () => {
  let analyst: GatewayClient

  beforeAll(async () => {
    analyst = await GatewayClient.as('analyst')
    const producer = await GatewayClient.as('producer')
    for (let from = 0; from < eventCount; from += perRequest) {
      const events = Array.from({ length: perRequest }, (_, index) => eventAt(from + index))
      const answer = await producer.post('/events', events)
      expect(answer.status, JSON.stringify(answer.body)).toBe(202)
    }
  }, 120_000)

  it.each([
    ['1d', 86_400_000],
    ['1h', 3_600_000],
  ])(
    'gives exact counts and sums per type and %s',
    async (interval, sizeMs) => {
      const expected = expectedWindows(sizeMs)
      for (const type of types) {
        const windows = expected.get(type) ?? new Map<number, Expected>()
        // The last month comes last: asking for all of them again and again would take the processor's time.
        for (const from of [11, 0]) {
          const startMs = Date.UTC(2023, from)
          const wanted = [...windows].filter(([windowStart]) => windowStart >= startMs)
          const events = eventsIn(new Map(wanted))
          const found = await eventually(
            exactWithinMs,
            () => windowsOf(analyst, type, interval, from),
            (soFar) => expect(eventsIn(soFar)).toBe(events),
          )
          expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted))
        }
      }
    },
    exactWithinMs + 60_000,
  )
})

function eventsIn(windows: ReadonlyMap<number, Expected>): number {
  return [...windows.values()].reduce((events, { count }) => events + count, 0)
}

/** All windows of the year from this month on (0 is January), asked for month by month so that no answer reaches the limit of one request. */
async function windowsOf(
  client: GatewayClient,
  type: string,
  interval: string,
  firstMonth: number,
): Promise<Map<number, Expected>> {
  const found = new Map<number, Expected>()
  for (let month = firstMonth; month < 12; month++) {
    const from = Date.UTC(2023, month, 1)
    const to = Date.UTC(2023, month + 1, 1)
    const { status, body } = await client.get(
      `/stats?event_type=${type}&time_interval=${interval}&from=${from}&to=${to}`,
    )
    expect(status, JSON.stringify(body)).toBe(200)
    for (const { window_start, count, sum } of body.windows) found.set(window_start, { count, sum })
  }
  return found
}
