import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { headersTimeoutMs, requestTimeoutMs } from '../limits.ts'

let test: TestApp
let port = 0

beforeAll(async () => {
  test = await openTestApp()
  expect([test.app.server.headersTimeout, test.app.server.requestTimeout]).toEqual([headersTimeoutMs, requestTimeoutMs])
  // The same ways, sooner.
  test.app.server.headersTimeout = 200
  test.app.server.requestTimeout = 200
  port = Number(new URL(await test.app.listen({ host: '127.0.0.1', port: 0 })).port)
})
afterAll(() => test.close())

/** Sends the beginning of a request and nothing more; the answer is everything up to the end of the connection. */
async function sendAndWait(text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (part: string) => {
    answer += part
  })
  socket.write(text)
  await once(socket, 'close')
  return answer
}

describe('a client that does not go on', () => {
  it('is answered with 408 and cut off, in its headers and in its body', async () => {
    const head = `POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: ${test.bearer('producer')}\r\n`
    const answers = await Promise.all([
      sendAndWait(head),
      sendAndWait(`${head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{`),
      sendAndWait(`${head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`),
    ])
    for (const answer of answers) {
      expect(answer).toContain('HTTP/1.1 408 Request Timeout\r\n')
      expect(answer).toContain('"code":"REQUEST_TIMEOUT"')
    }
    expect(test.events.written).toEqual([])
  })
})
