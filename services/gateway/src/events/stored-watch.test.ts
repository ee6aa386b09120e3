import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { storedIdsPerQuery, storedPollMs, storedWaitersMax, storedWaitMsMax } from '../limits.ts'
import type { EventIdentity, EventStore } from './ports.ts'
import { createStoredWatch, marksOf, type StoredWatch } from './stored-watch.ts'

type Range = Parameters<EventStore['storedSince']>[0]

/** What the store has: events of the user `u`, by id, and when each was received. */
const stored = new Map<string, number>()
let ofOthers: EventIdentity[] = []
/** Times of events that are not 50. */
const timesOf = new Map<string, number>()
let asked: Range[] = []
let failure: Error | undefined
let watch: StoredWatch

beforeEach(() => {
  vi.useFakeTimers()
  stored.clear()
  ofOthers = []
  timesOf.clear()
  asked = []
  failure = undefined
  const storedSince = async (range: Range) => {
    asked.push(range)
    if (failure !== undefined) throw failure
    const known = [...stored].map(([id, receivedAtMs]) => mark(id, receivedAtMs, timesOf.get(id)))
    return [...known, ...ofOthers].filter(({ eventId }) => range.eventIds.includes(eventId))
  }
  watch = createStoredWatch({ storedSince }, () => Date.now())
})
afterEach(() => {
  watch.close()
  vi.useRealTimers()
})

function mark(eventId: string, receivedAtMs = 100, timestampMs = 50): EventIdentity {
  return { eventId, userId: 'u', eventType: 't', receivedAtMs, timestampMs }
}

/** What has become of a wait: its result, or `waiting`. */
async function stateOf(wait: Promise<boolean>): Promise<boolean | 'waiting'> {
  await vi.advanceTimersByTimeAsync(0)
  return Promise.race([wait, Promise.resolve('waiting' as const)])
}

describe('waiting for the store', () => {
  it('ends as soon as the store has everything', async () => {
    const wait = watch.wait([mark('a'), mark('b')])
    stored.set('a', 100)
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await stateOf(wait)).toBe('waiting')
    stored.set('b', 120)
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await wait).toBe(true)
    expect(asked.map(({ eventIds }) => eventIds)).toEqual([['a', 'b'], ['b']])
  })

  it('does not take an earlier event of the same id for it', async () => {
    stored.set('a', 99)
    const wait = watch.wait([mark('a', 100)])
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await stateOf(wait)).toBe('waiting')
  })

  it('does not take the event of another user, type or time for it, whose id is the same', async () => {
    const others = [{ userId: 'v' }, { eventType: 'other' }, { timestampMs: 51 }]
    ofOthers = others.map((change) => ({ ...mark('a', 200), ...change }))
    const wait = watch.wait([mark('a'), { ...mark('a'), userId: 'v' }])
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await stateOf(wait)).toBe('waiting')
    stored.set('a', 100)
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await wait).toBe(true)
  })

  it('asks one question for all who wait, in the range of their times, and none when nobody waits', async () => {
    timesOf.set('a', 7).set('b', 90)
    const waits = [watch.wait([mark('a', 100, 7)]), watch.wait([mark('b', 100, 90)])]
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(asked).toEqual([{ eventIds: ['a', 'b'], fromMs: 7, toMs: 90 }])
    stored.set('a', 100).set('b', 100)
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await Promise.all(waits)).toEqual([true, true])
    await vi.advanceTimersByTimeAsync(10 * storedPollMs)
    expect(asked).toHaveLength(2)
  })

  it('bounds a question, and asks for the rest when some of it is there', async () => {
    const ids = Array.from({ length: storedIdsPerQuery + 5 }, (_, i) => `e-${i}`)
    const wait = watch.wait(ids.map((id) => mark(id)))
    for (const id of ids) stored.set(id, 100)
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await stateOf(wait)).toBe('waiting')
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await wait).toBe(true)
    expect(asked.map(({ eventIds }) => eventIds.length)).toEqual([storedIdsPerQuery, 5])
  })

  it('ends in time when the store is behind, at once when it does not answer, and when the service closes', async () => {
    const late = watch.wait([mark('a')])
    await vi.advanceTimersByTimeAsync(storedWaitMsMax + storedPollMs)
    expect(await late).toBe(false)
    failure = new Error('away')
    const failed = watch.wait([mark('a')])
    await vi.advanceTimersByTimeAsync(storedPollMs)
    expect(await failed).toBe(false)
    const open = watch.wait([mark('a')])
    watch.close()
    expect(await open).toBe(false)
    expect(await watch.wait([mark('a')])).toBe(false)
  })

  it('lets only so many wait', async () => {
    const waits = Array.from({ length: storedWaitersMax }, () => watch.wait([mark('a')]))
    expect(await watch.wait([mark('a')])).toBe(false)
    expect(await stateOf(waits[0] ?? Promise.resolve(false))).toBe('waiting')
  })
})

it('asks for the last event of each partition and month', () => {
  const sent = [
    [0, 'a', '2026-01-31T23:59:59Z'],
    [1, 'b', '2026-01-01T00:00:00Z'],
    [0, 'c', '2026-02-01T00:00:00Z'],
    [0, 'd', '2026-01-05T00:00:00Z'],
    [1, 'e', '2026-01-01T00:00:00Z'],
  ] as const
  const records = sent.map(([partition, id]) => ({
    topic: 't',
    partition,
    key: null,
    value: Buffer.from(id),
    timestamp: 0,
  }))
  const times = new Map(sent.map(([, id, time]) => [id as string, Date.parse(time)]))
  const marks = marksOf(records, ({ value }) => mark(String(value), 0, times.get(String(value)) ?? 0))
  expect(marks.map(({ eventId }) => eventId).sort()).toEqual(['c', 'd', 'e'])
})
