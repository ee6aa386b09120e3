import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, it } from 'vitest'
import type { GatewayApp } from '../../services/gateway/src/http/gateway-app.ts'
import { attackGateway } from './attacked-gateway.ts'
import { mustFail } from './proof.ts'
import { exchange } from './raw-http.ts'
import { event, lead } from './samples.ts'

/** Requests that came to an address which only the attacks name. */
async function withTrap(use: (url: string, hits: readonly string[]) => Promise<void>): Promise<void> {
  const hits: string[] = []
  const server = createServer((request, response) => {
    hits.push(request.url ?? '')
    response.writeHead(200, { connection: 'close' }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  try {
    await use(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, hits)
  } finally {
    server.close()
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Names an address wherever there is room for one, and expects that nobody goes there. */
async function lure(prepare?: (app: GatewayApp) => void): Promise<void> {
  await withTrap(async (trap, hits) => {
    await attackGateway(
      async ({ ask, port, test }) => {
        const role = 'admin'
        const names = [
          'url',
          'webhook',
          'callback',
          'callback_url',
          'avatar',
          'image',
          'href',
          '$ref',
          '$schema',
          'src',
        ]
        const urls = Object.fromEntries(names.map((name) => [name, `${trap}/${name}`]))
        await ask('/events', { role, body: { ...event, user_id: `${trap}/user`, metadata: urls } })
        await ask('/api/v1/lead/process-async', {
          role,
          body: { ...lead, source: `${trap}/source`, campaign: `${trap}/campaign`, attributes: urls },
        })
        await ask('/api/v1/login', { body: { username: `${trap}/name`, password: `${trap}/password` } })
        for (const path of ['/events', '/api/v1/leads', '/stats', '/', '/docs/', '/openapi.json']) {
          await ask(`${path}?url=${trap}/query&next=${trap}/next&callback=${trap}/callback`, { role })
        }
        const headers = { origin: trap, referer: `${trap}/referer`, 'x-forwarded-host': trap.slice(7), forwarded: trap }
        await ask('/api/v1/health', { headers: { ...headers, 'x-original-url': trap, link: `<${trap}/link>` } })
        for (const field of ['jku', 'x5u', 'kid']) {
          const input = `${encode({ alg: 'HS256', typ: 'at+jwt', [field]: `${trap}/${field}` })}.${encode({ sub: 'x' })}`
          const token = `${input}.${createHmac('sha256', 'x').update(input).digest('base64url')}`
          await ask('/api/v1/user/profile', { headers: { authorization: `Bearer ${token}` } })
        }
        await ask('/events', {
          role,
          headers: { 'content-type': 'application/avro' },
          body: `Obj\u0001\u0002\u0016avro.schema${trap}/schema`,
        })
        // As a proxy.
        await exchange(port, [`GET ${trap}/proxied HTTP/1.1\r\nHost: ${trap.slice(7)}\r\nConnection: close\r\n\r\n`])
        expect(test.leads.written).toHaveLength(1)
        expect(hits).toEqual([])
      },
      {},
      prepare,
    )
  })
}

/** Every name of what a client may send, by the document. */
function namesIn(value: unknown, found: Set<string> = new Set()): Set<string> {
  if (Array.isArray(value)) for (const part of value) namesIn(part, found)
  else if (typeof value === 'object' && value !== null) {
    for (const [name, part] of Object.entries(value)) {
      if (name === 'properties') for (const property of Object.keys(Object(part))) found.add(property)
      if (name === 'name' && typeof part === 'string') found.add(part)
      if (name === 'format' && typeof part === 'string') found.add(`format ${part}`)
      namesIn(part, found)
    }
  }
  return found
}

const targets = [
  '//evil.example',
  '//evil.example/',
  '//evil.example/docs',
  '///evil.example',
  '/\\evil.example',
  '/\\/evil.example',
  '/%2f%2fevil.example',
  '/%5cevil.example',
  '/.//evil.example',
  '//evil.example/%2e%2e',
  '/docs',
  '/docs?next=https://evil.example',
  '/docs//evil.example',
  '/api/v1/docs',
  '//evil.example/../docs',
  '/?redirect=https://evil.example',
  '/api/v1/login?return_to=https://evil.example',
  'http://evil.example/docs',
]

async function redirect(prepare?: (app: GatewayApp) => void): Promise<void> {
  await attackGateway(
    async ({ port }) => {
      for (const target of targets) {
        const head = `GET ${target} HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\nConnection: close`
        const { text, statuses } = await exchange(port, [`${head}\r\n\r\n`])
        expect([target, statuses.length]).toEqual([target, 1])
        const location = /\r\nlocation: ([^\r]*)/i.exec(text)?.[1]
        // Only within this service, whatever it was called.
        if (location !== undefined) {
          const { origin } = new URL(location, 'http://here.example/')
          expect([target, location, origin]).toEqual([target, location, 'http://here.example'])
        }
      }
    },
    {},
    prepare,
  )
}

describe('S17 addresses of others', () => {
  it('are data: nobody goes there', () => lure())
  it('proof: a gateway that calls back would be found out', () =>
    mustFail(() =>
      lure((app) => {
        app.addHook('preHandler', async (request) => {
          const webhook = /"webhook":"([^"]+)"/.exec(JSON.stringify(request.body ?? null))?.[1]
          if (webhook !== undefined) await fetch(webhook)
        })
      }),
    ))

  it('are asked for by no parameter and no field', async () => {
    await attackGateway(async ({ ask }) => {
      const { body: document } = await ask('/openapi.json')
      const operations = Object.values<Record<string, object>>(document.paths).flatMap((path) => Object.values(path))
      const requests = operations.map((operation) => {
        const { parameters, requestBody } = { parameters: [], requestBody: null, ...operation }
        return { parameters, requestBody }
      })
      const names = [...namesIn([requests, document.components?.requestBodies])]
      expect(names).toContain('email')
      // Whoever adds one: allow-list its hosts, follow no redirects, and test that here.
      expect(
        names.filter((name) => /ur[il]|callback|webhook|redirect|return_?to|hostname|endpoint/i.test(name)),
      ).toEqual([])
    })
  })

  it('are no place to be sent to', () => redirect())
  it('proof: a gateway that adds a slash to addresses would be found out', () =>
    mustFail(() =>
      redirect((app) => {
        app.addHook('onRequest', async (request, reply) => {
          if (!request.url.endsWith('/')) return reply.redirect(`${request.url}/`)
        })
      }),
    ))
})
