import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import type { EventStats } from '@millrace/schemas'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { statsHeartbeatMs, statsStreamBufferBytesMax } from '../limits.ts'
import { StatsHub } from './stats-hub.ts'

/** Over real sockets, whose buffers in the system come on top of ours. */
const socketBuffersBytes = 32 * 1024 * 1024
/** An update this long fills a socket with few of them. */
const longType = 'x'.repeat(100_000)

let test: TestApp
let hub: StatsHub

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  hub = new StatsHub({ ringMax: 2_000 })
  hub.restart([0, 0])
  test = await openTestApp({ statsHub: hub })
  await test.app.listen({ host: '127.0.0.1', port: 0 })
})
afterEach(async () => {
  vi.useRealTimers()
  await test.close()
})

/** Connects, and reads nothing yet. */
async function connect(headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const url = `${test.app.listeningOrigin}/stats/stream`
  const request = get(url, { headers: { authorization: test.bearer('analyst'), ...headers } })
  request.on('error', () => {})
  const [answer] = await once(request, 'response')
  return answer
}

/** Reads until `wanted` is there, or to the end. */
async function read(answer: IncomingMessage, wanted?: string): Promise<string> {
  let text = ''
  answer.setEncoding('utf8')
  answer.on('data', (chunk: string) => {
    text += chunk
  })
  // One that is cut off ends with an error.
  answer.on('error', () => {})
  const isClosed = new Promise<void>((resolve) => answer.once('close', resolve))
  if (wanted === undefined) await isClosed
  else await vi.waitFor(() => expect(text.includes(wanted)).toBe(true), { timeout: 30_000 })
  return text
}

function publish(count: number, offset: number): void {
  hub.publish(stats(count), { partition: 0, offset })
}

function stats(count: number): EventStats {
  const none = { value_count: 0, sum: 0, avg: null, min: null, max: null, final: false }
  const window = { window_start: 0, window_end: 10_000, updated_at: 0 }
  return { event_type: longType, interval: '10s', count, ...window, ...none }
}

/** The counts of the updates that came whole, and the id of the last one. */
function wholeUpdates(text: string): { readonly counts: readonly number[]; readonly lastId: string } {
  const whole = text.slice(0, text.lastIndexOf('\n\n') + 2)
  const ids = [...whole.matchAll(/^id: (\S+)$/gm)].map(([, id = '']) => id)
  const counts = [...whole.matchAll(/"count":(\d+)/g)].map(([, count]) => Number(count))
  return { counts, lastId: ids.at(-1) ?? '' }
}

it('keeps a quiet stream alive', async () => {
  const answer = await connect()
  vi.advanceTimersByTime(statsHeartbeatMs)
  const text = await read(answer, ':\n\n')
  expect(text).toMatch(/^id: 0\.0\nevent: ready\ndata: \{\}\n\n:\n\n/)
  answer.destroy()
})

it('cuts a client off that does not read, with a bounded backlog, and gives it the rest when it comes back', async () => {
  const slow = await connect()
  let sent = 0
  while (hub.size === 1) {
    publish(sent, sent)
    sent++
    const isBounded = sent * longType.length < statsStreamBufferBytesMax + socketBuffersBytes
    if (!isBounded) break
    await turn()
  }
  expect(hub.size, 'the client is let go').toBe(0)
  const before = wholeUpdates(await read(slow))
  expect(before.counts.length).toBeLessThan(sent)

  const again = await connect({ 'last-event-id': before.lastId })
  const after = wholeUpdates(await read(again, `"count":${sent - 1},`))
  again.destroy()
  expect(after.counts.length, 'what was missed is there').toBeGreaterThan(0)
  expect([...before.counts, ...after.counts]).toEqual(Array.from({ length: sent }, (_, i) => i))
})
