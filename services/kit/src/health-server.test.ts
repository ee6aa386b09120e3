import { afterEach, describe, expect, it } from 'vitest'
import type { Check } from './checks.ts'
import { type HealthServer, type Pages, startHealthServer } from './health-server.ts'
import { Counter, createMetrics } from './metrics.ts'

const open: HealthServer[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()))
})

async function start(checks: readonly Check[], isLive = () => true, pages?: Pages): Promise<HealthServer> {
  const registry = createMetrics({ service: 'test', processMetrics: false })
  new Counter({ name: 'rows_total', help: 'Rows.', registers: [registry] }).inc(3)
  const options = { host: '127.0.0.1', port: 0, version: '1.2.3', checks, registry, isLive, checkTimeoutMs: 50 }
  const server = await startHealthServer({ ...options, ...(pages === undefined ? {} : { pages }) })
  open.push(server)
  return server
}

const well: Check = { name: 'kafka', run: () => {} }
const away: Check = { name: 'mysql', run: () => Promise.reject(new Error('connect ECONNREFUSED')) }

describe('startHealthServer', () => {
  it('answers /readyz with every check', async () => {
    const server = await start([well, { ...away, required: false }])
    const response = await fetch(`${server.url}/readyz`)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      status: 'degraded',
      version: '1.2.3',
      checks: { kafka: { status: 'ok' }, mysql: { status: 'down', error: 'connect ECONNREFUSED' } },
    })
  })

  it('is not ready when a required check fails or does not answer', async () => {
    const silent: Check = { name: 'clickhouse', run: () => new Promise(() => {}) }
    const server = await start([well, silent])
    const response = await fetch(`${server.url}/readyz`)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({
      status: 'down',
      checks: { clickhouse: { error: 'no answer within 50 ms' } },
    })
  })

  it('tells liveness, metrics, and that it has nothing else', async () => {
    const server = await start([], () => false)
    expect((await fetch(`${server.url}/livez`)).status).toBe(503)
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('rows_total{service="test"} 3')
    expect((await fetch(`${server.url}/other`)).status).toBe(404)
    expect((await fetch(`${server.url}/livez`, { method: 'POST' })).status).toBe(405)
  })

  it('answers the pages of the service, and what went wrong in them', async () => {
    const pages: Pages = {
      paths: ['/things/:name'],
      async answer({ path, query }) {
        if (path === '/things/broken') throw new Error('out of order')
        if (!path.startsWith('/things/')) return undefined
        return {
          status: 202,
          headers: { 'content-type': 'application/thing+json' },
          body: { path, limit: query.get('limit') },
        }
      },
    }
    const server = await start([], () => true, pages)
    const response = await fetch(`${server.url}/things/a%2Fb?limit=3`)
    expect(response.status).toBe(202)
    expect(response.headers.get('content-type')).toBe('application/thing+json')
    expect(await response.json()).toEqual({ path: '/things/a%2Fb', limit: '3' })
    expect((await fetch(`${server.url}/things/broken`)).status).toBe(500)
    expect(await (await fetch(`${server.url}/other`)).json()).toMatchObject({
      paths: ['/livez', '/readyz', '/metrics', '/things/:name'],
    })
    expect((await fetch(`${server.url}//`)).status).toBe(404)
  })

  it('says which variable to set when the port is taken', async () => {
    const server = await start([])
    const registry = createMetrics({ service: 'second', processMetrics: false })
    const port = Number(new URL(server.url).port)
    const second = startHealthServer({ host: '127.0.0.1', port, version: '1', checks: [], registry })
    await expect(second).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  })
})
