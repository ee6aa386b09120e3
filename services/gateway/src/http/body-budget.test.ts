import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Role } from '@millrace/storage/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { batchBodyBytesMax } from '../limits.ts'

const size = batchBodyBytesMax
const event = { event_id: 'e', user_id: 'u', event_type: 't', timestamp: 1, metadata: {} }
let test: TestApp
let port = 0

beforeAll(async () => {
  test = await openTestApp({ bodyBudget: { bytesMax: 4 * size, bytesPerAccountMax: 2 * size } })
  port = Number(new URL(await test.app.listen({ host: '127.0.0.1', port: 0 })).port)
})
afterAll(() => test.close())

/** Announces a body and sends its first byte; the answer is what the server says about that. */
async function begin(
  role: Role,
  length = `Content-Length: ${size}`,
): Promise<{ socket: Socket; answer: () => string }> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  socket.on('error', () => {})
  const head = `POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: ${test.bearer(role)}\r\nContent-Type: application/json\r\n`
  socket.write(`${head}${length}\r\n\r\n`)
  await once(socket, 'connect')
  return { socket, answer: () => answer }
}

function post(role: Role, padding: number) {
  const payload = JSON.stringify(event) + ' '.repeat(padding)
  return fetch(`http://127.0.0.1:${port}/events`, {
    method: 'POST',
    headers: { authorization: test.bearer(role), 'content-type': 'application/json' },
    body: payload,
  })
}

const statusOf = async (answer: Promise<Response>) => (await answer).status

describe('bodies that are under way', () => {
  it('of one account keep out only its own large ones; of several, all large ones; until they are gone', async () => {
    const large = size - 1_000
    const open = [await begin('producer'), await begin('producer', 'Transfer-Encoding: chunked')]
    await expect.poll(() => statusOf(post('producer', large))).toBe(503)
    const refused = await post('producer', large)
    expect([refused.headers.get('retry-after'), refused.headers.get('connection')]).toEqual(['1', 'close'])
    expect(await refused.json()).toMatchObject({ code: 'OVERLOADED' })
    expect(await statusOf(post('producer', 10))).toBe(202)
    expect(await statusOf(post('admin', large))).toBe(202)

    open.push(await begin('admin'), await begin('admin'))
    await expect.poll(() => statusOf(post('admin', large))).toBe(503)
    // Not even one that goes away in the middle is forgotten.
    for (const { socket } of open) socket.destroy()
    await expect.poll(() => statusOf(post('admin', large))).toBe(202)
    await expect.poll(() => statusOf(post('producer', large))).toBe(202)
  })

  it('that announce more than the route takes are refused for that, and count nothing', async () => {
    const { answer, socket } = await begin('producer', `Content-Length: ${size + 1}`)
    await expect.poll(answer).toContain('413 Payload Too Large')
    socket.destroy()
    expect(await statusOf(post('producer', size - 1_000))).toBe(202)
  })
})
