import { beforeEach, describe, expect, test, vi } from 'vitest'
import { ConsoleError } from '../gateway/console-error.ts'
import { backoffFirstMs } from '../limits.ts'
import { windowOf } from '../stats/testing-windows.ts'
import { WindowStore } from '../stats/window-store.ts'
import { createManualTimers, settle } from './manual-timers.ts'
import { createScriptedGateway } from './scripted-gateway.ts'
import { StatsFeed } from './stats-feed.ts'

const unreachable = new ConsoleError('unreachable', 'Gone.')

function setUp() {
  const gateway = createScriptedGateway()
  const timers = createManualTimers()
  const store = new WindowStore({ typesMax: 10, windowsPerTypeMax: 10 })
  const loadHistory = vi.fn<(signal: AbortSignal) => Promise<void>>().mockResolvedValue(undefined)
  const onSessionEnd = vi.fn<() => void>()
  const onChange = vi.fn<() => void>()
  let nowMs = 1_000
  const feed = new StatsFeed({
    interval: '10s',
    store,
    client: gateway,
    loadHistory,
    clock: { nowMs: () => nowMs },
    timers,
    random: () => 1,
    onChange,
    onSessionEnd,
  })
  return {
    gateway,
    timers,
    store,
    loadHistory,
    onSessionEnd,
    onChange,
    feed,
    setNow: (ms: number) => {
      nowMs = ms
    },
  }
}

describe('StatsFeed', () => {
  let at: ReturnType<typeof setUp>
  beforeEach(() => {
    at = setUp()
  })

  test('opens the stream, then loads history, and takes in what comes', async () => {
    at.feed.start()
    expect(at.feed.state.phase).toBe('connecting')
    await settle()
    expect(at.feed.state).toMatchObject({ phase: 'live', history: 'loaded', error: null })
    expect(at.loadHistory).toHaveBeenCalledTimes(1)
    at.setNow(5_000)
    at.gateway.streams[0]?.send({ windows: [windowOf('a', 0)], lastEventId: '1' })
    await settle()
    expect(at.store.windowAt('a', 0)?.count).toBe(1)
    expect(at.feed.lastUpdateMs).toBe(5_000)
  })

  test('after a break waits, goes on from the last id, and loads history again', async () => {
    at.feed.start()
    await settle()
    at.gateway.streams[0]?.send({ lastEventId: '7.9' })
    await settle()
    at.gateway.streams[0]?.fail(unreachable)
    await settle()
    expect(at.feed.state).toMatchObject({ phase: 'waiting', error: unreachable, retryAtMs: 1_000 + backoffFirstMs })
    await at.timers.elapse()
    expect(at.gateway.streams[1]?.lastEventId).toBe('7.9')
    expect(at.feed.state).toMatchObject({ phase: 'live', error: null })
    expect(at.loadHistory).toHaveBeenCalledTimes(2)
  })

  test('connects again when the server ends the stream', async () => {
    at.feed.start()
    await settle()
    at.gateway.streams[0]?.end()
    await settle()
    expect(at.feed.state.phase).toBe('waiting')
    await at.timers.elapse()
    expect(at.feed.state.phase).toBe('live')
  })

  test('waits longer and longer while nothing works, and no longer than asked once it does', async () => {
    at.gateway.openingFailures.push(unreachable, unreachable, unreachable)
    at.feed.start()
    const waits: number[] = []
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await settle()
      waits.push(...at.timers.waitsMs)
      await at.timers.elapse()
    }
    expect(waits).toEqual([backoffFirstMs, 2 * backoffFirstMs, 4 * backoffFirstMs])
    at.gateway.streams[0]?.send({})
    await settle()
    at.gateway.streams[0]?.end()
    await settle()
    expect(at.timers.waitsMs).toEqual([backoffFirstMs])
  })

  test('loads history at each attempt while the stream cannot be had', async () => {
    at.gateway.openingFailures.push(unreachable, unreachable)
    at.feed.start()
    await settle()
    expect(at.loadHistory).toHaveBeenCalledTimes(1)
    expect(at.feed.state).toMatchObject({ phase: 'waiting', history: 'loaded' })
    await at.timers.elapse()
    expect(at.loadHistory).toHaveBeenCalledTimes(2)
  })

  test('waits as long as the gateway asks for', async () => {
    at.gateway.openingFailures.push(new ConsoleError('unavailable', 'Full.', { retryAfterMs: 30_000 }))
    at.feed.start()
    await settle()
    expect(at.timers.waitsMs).toEqual([30_000])
  })

  test('loads history anew on a reset', async () => {
    at.feed.start()
    await settle()
    at.gateway.streams[0]?.send({ isReset: true })
    await settle()
    expect(at.loadHistory).toHaveBeenCalledTimes(2)
  })

  test('tries history again while the stream goes on', async () => {
    at.loadHistory.mockRejectedValueOnce(unreachable)
    at.feed.start()
    await settle()
    expect(at.feed.state).toMatchObject({ phase: 'live', history: 'missing', error: unreachable })
    at.gateway.streams[0]?.send({ windows: [windowOf('a', 0)] })
    await at.timers.elapse()
    expect(at.feed.state).toMatchObject({ phase: 'live', history: 'loaded', error: null })
    expect(at.store.typeNames()).toEqual(['a'])
  })

  test('does not repeat a question for history that the gateway refuses', async () => {
    at.loadHistory.mockRejectedValue(new ConsoleError('refused', 'Too much.'))
    at.feed.start()
    await settle()
    expect(at.feed.state).toMatchObject({ phase: 'live', history: 'missing' })
    expect(at.timers.waitsMs).toEqual([])
  })

  test.each(['stream', 'history'])('gives up and says so when the session has ended (%s)', async (where) => {
    const ended = new ConsoleError('unauthorized', 'Expired.')
    if (where === 'stream') at.gateway.openingFailures.push(ended)
    else at.loadHistory.mockRejectedValue(ended)
    at.feed.start()
    await settle()
    expect(at.feed.state).toMatchObject({ phase: 'refused', error: ended })
    expect(at.onSessionEnd).toHaveBeenCalledTimes(1)
    expect(at.timers.waitsMs).toEqual([])
  })

  test('gives up without ending the session when the account may not read', async () => {
    at.gateway.openingFailures.push(new ConsoleError('forbidden', 'No.'))
    at.feed.start()
    await settle()
    expect(at.feed.state.phase).toBe('refused')
    expect(at.onSessionEnd).not.toHaveBeenCalled()
  })

  test('a stop ends the stream and keeps the windows; a start goes on from the last id', async () => {
    at.feed.start()
    await settle()
    at.gateway.streams[0]?.send({ windows: [windowOf('a', 0)], lastEventId: '3' })
    await settle()
    at.feed.stop()
    await settle()
    expect(at.gateway.streams[0]?.isAborted).toBe(true)
    expect(at.feed.state.phase).toBe('stopped')
    expect(at.store.typeNames()).toEqual(['a'])
    at.feed.start()
    await settle()
    expect(at.gateway.streams[1]?.lastEventId).toBe('3')
    expect(at.feed.state.phase).toBe('live')
  })

  test('a stop while waiting ends the waiting', async () => {
    at.gateway.openingFailures.push(unreachable)
    at.feed.start()
    await settle()
    at.feed.stop()
    await at.timers.elapse()
    expect(at.gateway.streams).toHaveLength(0)
    expect(at.feed.state.phase).toBe('stopped')
  })

  test('starting twice opens one stream', async () => {
    at.feed.start()
    at.feed.start()
    await settle()
    expect(at.gateway.streams).toHaveLength(1)
  })
})
