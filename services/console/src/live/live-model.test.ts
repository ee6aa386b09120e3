import { beforeEach, describe, expect, test, vi } from 'vitest'
import { createManualTimers, settle } from '../feed/manual-timers.ts'
import { createScriptedGateway } from '../feed/scripted-gateway.ts'
import { ConsoleError } from '../gateway/console-error.ts'
import type { StatsQuery } from '../gateway/gateway-client.ts'
import { type Interval, intervalSpecs, intervals } from '../stats/interval.ts'
import type { StatsWindow } from '../stats/stats-window.ts'
import { windowOf } from '../stats/testing-windows.ts'
import { LiveModel } from './live-model.ts'
import { defaultSettings, type LiveSettings } from './live-settings.ts'

const nowAtStartMs = Date.UTC(2026, 10, 21, 10, 0, 3)
const minuteMs = 60_000

function setUp(settings: Partial<LiveSettings> = {}) {
  const gateway = createScriptedGateway()
  const timers = createManualTimers()
  const onSettings = vi.fn<(settings: LiveSettings) => void>()
  const onSessionEnd = vi.fn<() => void>()
  const time = { nowMs: nowAtStartMs }
  const model = new LiveModel({
    client: gateway,
    clock: { nowMs: () => time.nowMs },
    timers,
    random: () => 1,
    settings: { ...defaultSettings, ...settings },
    onSettings,
    onSessionEnd,
  })
  return { gateway, timers, model, onSettings, onSessionEnd, time }
}

/** Answers history as a gateway would that counted events of type `a` at these times. */
function historyOf(...eventTimesMs: number[]): (query: StatsQuery) => StatsWindow[] {
  return ({ interval, range }) =>
    eventTimesMs
      .map((ms) => windowOf('a', startOf(ms, interval), { interval }))
      .filter(({ windowStartMs }) => windowStartMs >= range.fromMs && windowStartMs < range.toMs)
}

function startOf(ms: number, interval: Interval): number {
  const { windowMs } = intervalSpecs[interval]
  return Math.floor(ms / windowMs) * windowMs
}

describe('LiveModel', () => {
  let at: ReturnType<typeof setUp>
  beforeEach(() => {
    at = setUp()
  })

  async function start(): Promise<void> {
    at.model.start()
    await settle()
    await at.timers.elapse()
  }

  test('shows history, then what the stream brings', async () => {
    at.gateway.history = historyOf(nowAtStartMs - 20 * minuteMs)
    expect(at.model.view.content).toBe('loading')
    await start()
    expect(at.model.view).toMatchObject({ content: 'data', connection: { phase: 'live' } })
    const seen = vi.fn<() => void>()
    at.model.subscribe(seen)
    at.gateway.streams[0]?.send({ windows: [windowOf('b', startOf(nowAtStartMs, '10s'), { count: 9 })] })
    await settle()
    expect(seen).not.toHaveBeenCalled()
    await at.timers.elapse()
    expect(seen).toHaveBeenCalledTimes(1)
    expect(at.model.view.totals.map((row) => row.eventType)).toEqual(['b', 'a'])
    expect(at.model.view.headlines.eventsLastMinute).toBe(9)
  })

  test('draws at most once per wait, however much arrives', async () => {
    await start()
    const seen = vi.fn<() => void>()
    at.model.subscribe(seen)
    for (let count = 1; count <= 100; count += 1) {
      at.gateway.streams[0]?.send({ windows: [windowOf('a', startOf(nowAtStartMs, '10s'), { count })] })
    }
    await settle()
    await at.timers.elapse()
    expect(seen.mock.calls.length).toBeLessThanOrEqual(2)
  })

  test('is fed by one stream for ten seconds and by two for other windows', async () => {
    await start()
    expect(at.gateway.streams.map((stream) => stream.interval)).toEqual(['10s'])
    at.model.showInterval('1h')
    await settle()
    expect(at.gateway.streams.map((stream) => stream.interval)).toEqual(['10s', '1h'])
    at.model.showInterval('1d')
    await settle()
    expect(at.gateway.streams.map(({ interval, isAborted }) => [interval, isAborted])).toEqual([
      ['10s', false],
      ['1h', true],
      ['1d', false],
    ])
    at.model.showInterval('10s')
    await settle()
    expect(at.gateway.streams.at(-1)?.isAborted).toBe(true)
    expect(at.onSettings).toHaveBeenLastCalledWith(defaultSettings)
  })

  test('has nothing to show before the first event', async () => {
    await start()
    expect(at.model.view).toMatchObject({ content: 'nothing', newestStartMs: null })
    at.gateway.streams[0]?.send({ windows: [windowOf('a', startOf(nowAtStartMs, '10s'))] })
    await settle()
    await at.timers.elapse()
    expect(at.model.view.content).toBe('data')
  })

  test.each(intervals)('says where the newest data is, and shows it when asked (%s)', async (interval) => {
    const eventMs = Date.UTC(2001, 2, 14, 13, 20, 17)
    at = setUp({ interval })
    at.gateway.history = historyOf(eventMs)
    await start()
    expect(at.model.view).toMatchObject({ content: 'elsewhere', newestStartMs: startOf(eventMs, interval) })
    at.model.showEnd('latest')
    await settle()
    await at.timers.elapse()
    expect(at.model.view).toMatchObject({
      content: 'data',
      range: { toMs: startOf(eventMs, interval) + intervalSpecs[interval].windowMs },
      headlines: { eventsLastMinute: 1 },
    })
  })

  test('finds data newer than what a replay has brought', async () => {
    const recentMs = nowAtStartMs - 5 * 3_600_000
    await start()
    at.gateway.streams[0]?.send({ windows: [windowOf('a', Date.UTC(2001, 2, 14))] })
    at.gateway.history = historyOf(recentMs)
    await settle()
    at.model.showEnd('latest')
    await settle()
    await at.timers.elapse()
    expect(at.model.view.range.toMs).toBe(startOf(recentMs, '10s') + 10_000)
  })

  test('follows a replay, and loads the history around a jump', async () => {
    at = setUp({ end: 'latest' })
    at.gateway.history = historyOf(Date.UTC(2001, 2, 14))
    await start()
    const askedBefore = at.gateway.queries.length
    at.gateway.streams[0]?.send({ windows: [windowOf('a', Date.UTC(2001, 5, 1))] })
    await settle()
    await at.timers.tick()
    expect(at.model.view.range.toMs).toBe(Date.UTC(2001, 5, 1) + 10_000)
    expect(at.gateway.queries.length).toBeGreaterThan(askedBefore)
  })

  test('a pause holds the range still and ends the streams; going on loads what was missed', async () => {
    at.gateway.history = historyOf(nowAtStartMs)
    await start()
    at.model.togglePause()
    await settle()
    expect(at.gateway.streams[0]?.isAborted).toBe(true)
    const { range } = at.model.view
    at.time.nowMs += 10 * minuteMs
    await at.timers.tick()
    expect(at.model.view).toMatchObject({ range, connection: { phase: 'paused' } })
    at.model.togglePause()
    await settle()
    await at.timers.elapse()
    expect(at.model.view.range.toMs).toBe(range.toMs + 10 * minuteMs)
    expect(at.model.view.connection.phase).toBe('live')
    expect(at.gateway.queries.at(-1)?.range).toEqual(at.model.view.range)
  })

  test('shows another interval while paused, at the held time and without a stream', async () => {
    at.gateway.history = historyOf(nowAtStartMs)
    await start()
    at.model.togglePause()
    at.time.nowMs += 60 * minuteMs
    at.model.showInterval('1m')
    await settle()
    await at.timers.elapse()
    expect(at.gateway.streams).toHaveLength(1)
    expect(at.model.view).toMatchObject({ content: 'data', range: { toMs: startOf(nowAtStartMs, '1m') + minuteMs } })
  })

  test('one type alone filters charts and big numbers, not the table', async () => {
    await start()
    const startMs = startOf(nowAtStartMs, '10s')
    at.gateway.streams[0]?.send({
      windows: [windowOf('a', startMs, { count: 2 }), windowOf('b', startMs, { count: 3 })],
    })
    await settle()
    at.model.showType('a')
    const { frame, headlines, totals, content } = at.model.view
    expect(frame.series.map((series) => series.eventType)).toEqual(['a'])
    expect(headlines.eventsLastMinute).toBe(2)
    expect(totals).toHaveLength(2)
    expect(content).toBe('data')
    at.model.showType('c')
    expect(at.model.view.content).toBe('quiet')
  })

  test('ends the session when the gateway no longer knows it', async () => {
    at.gateway.openingFailures.push(new ConsoleError('unauthorized', 'Expired.'))
    await start()
    expect(at.onSessionEnd).toHaveBeenCalledTimes(1)
  })

  test('has one thing to say to an account that may not read', async () => {
    at.gateway.openingFailures.push(new ConsoleError('forbidden', 'No.'))
    await start()
    expect(at.model.view).toMatchObject({ content: 'forbidden', connection: { phase: 'refused' } })
    expect(at.onSessionEnd).not.toHaveBeenCalled()
  })

  test('tries again at once on demand', async () => {
    at.gateway.openingFailures.push(new ConsoleError('unreachable', 'Gone.'))
    at.model.start()
    await settle()
    at.model.reconnect()
    await settle()
    await at.timers.elapse()
    expect(at.model.view.connection.phase).toBe('live')
  })

  test('is silent after it was closed', async () => {
    await start()
    const seen = vi.fn<() => void>()
    at.model.subscribe(seen)
    at.model.close()
    await at.timers.tick()
    await at.timers.elapse()
    expect(seen).not.toHaveBeenCalled()
    expect(at.gateway.streams[0]?.isAborted).toBe(true)
    expect(at.timers.waitsMs).toEqual([])
  })
})
