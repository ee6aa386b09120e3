import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type ClickHouse, openClickHouse } from './clickhouse.ts'

let server: Server
let clickHouse: ClickHouse
/** Requests that were taken in; none is answered. */
let asked: IncomingMessage[]

beforeEach(async () => {
  asked = []
  server = createServer((request) => {
    asked.push(request)
    server.emit('asked')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  clickHouse = openClickHouse({ url: `http://127.0.0.1:${port}`, user: 'u', password: 'p', database: 'd' })
})
afterEach(async () => {
  await clickHouse.close()
  server.closeAllConnections()
  server.close()
})

it('closes the connection of a query that nobody waits for, and has told the server to end it then', async () => {
  const left = new AbortController()
  const isAsked = once(server, 'asked')
  const query = clickHouse.query('reading', { sql: 'SELECT 1', signal: left.signal })
  await isAsked
  const [request] = asked
  expect(request?.url).toContain('cancel_http_readonly_queries_on_client_close=1')
  expect(request?.url).toContain('max_execution_time=')
  const isClosed = new Promise((resolve) => request?.socket.once('close', resolve))
  left.abort()
  await expect(query).rejects.toMatchObject({ code: 'CANCELLED', retryable: false })
  await isClosed
})

it('does not ask for anybody who has left before', async () => {
  const query = clickHouse.query('reading', { sql: 'SELECT 1', signal: AbortSignal.abort() })
  await expect(query).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(asked).toEqual([])
})
