import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'

let test: TestApp
let port = 0
beforeAll(async () => {
  test = await openTestApp()
  port = Number(new URL(await test.app.listen({ host: '127.0.0.1', port: 0 })).port)
}, 60_000)
afterAll(() => test.close())

it.each([
  ['GET /livez\r\n\r\n', 'HTTP/1.1 400 Bad Request'],
  ['GET /livez HTTP/1.0\r\n\r\n', 'HTTP/1.1 200 OK'],
  ['GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 'HTTP/1.1 200 OK'],
])('%j is answered with %s', async (request, status) => {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text
  })
  socket.write(request)
  await once(socket, 'close')
  expect(answer.split('\r\n', 1)[0]).toBe(status)
})
