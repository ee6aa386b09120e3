import { createServer, type RequestListener, type Server } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { createPoster, type Poster } from './post.ts'

const servers: Server[] = []
const posters: Poster[] = []
afterEach(() => {
  for (const poster of posters.splice(0)) poster.close()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function start(listener: RequestListener) {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const poster = createPoster(url)
  posters.push(poster)
  const signal = new AbortController().signal
  const post = (body: Buffer, of = signal) =>
    poster.post(`${url}/?a=1`, { headers: { 'X-Name': 'n' }, body, signal: of })
  return { post, server }
}

describe('createPoster', () => {
  it('sends a body with its length, and reads the answer, over one connection', async () => {
    let connections = 0
    const { post, server } = await start((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { 'content-length': length, 'x-name': name } = request.headers
        response.writeHead(418, { 'X-Seen': `${request.url} ${length} ${name}` }).end(Buffer.concat(chunks))
      })
    })
    server.on('connection', () => connections++)
    const body = Buffer.alloc(300_000, 'ä')
    for (let time = 0; time < 3; time++) {
      const answer = await post(body)
      expect(answer).toMatchObject({ status: 418, headers: { 'x-seen': '/?a=1 300000 n' } })
      expect(answer.text).toBe(body.toString())
    }
    expect(connections).toBe(1)
  })

  it('rejects when the connection breaks before, or in the midst of, the answer', async () => {
    const { post } = await start((request) => request.socket.destroy())
    await expect(post(Buffer.from('x'))).rejects.toMatchObject({ code: 'ECONNRESET' })
    const cut = await start((_request, response) => {
      response.writeHead(200, { 'Content-Length': '10' }).write('12345')
      setImmediate(() => response.destroy())
    })
    await expect(cut.post(Buffer.from('x'))).rejects.toThrow('aborted')
  })

  it('ends when the signal does', async () => {
    const { post } = await start(() => undefined)
    const stop = new AbortController()
    const pending = post(Buffer.from('x'), stop.signal)
    stop.abort()
    await expect(pending).rejects.toMatchObject({ name: 'AbortError' })
  })
})
