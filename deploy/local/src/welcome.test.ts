import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { firstEvent } from './welcome.ts'

it('the printed line logs in and posts an event, pasted as it is', async () => {
  const seen: { url: string | undefined; authorization: string | undefined; body: unknown }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      seen.push({ url: request.url, authorization: request.headers.authorization, body: JSON.parse(body) })
      response.end('{"refresh_token":"no","token":"a.b.c","token_type":"Bearer"}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  try {
    const line = firstEvent(`http://127.0.0.1:${port}`)
    expect(line.trim()).not.toContain('\n')
    await promisify(execFile)('/bin/sh', ['-c', line])
    expect(seen[0]).toMatchObject({ url: '/api/v1/login', body: { username: 'api_user', password: 'api123' } })
    expect(seen[1]).toMatchObject({
      url: '/events',
      authorization: 'Bearer a.b.c',
      body: { user_id: 'me', event_type: 'hello' },
    })
  } finally {
    server.close()
  }
})
