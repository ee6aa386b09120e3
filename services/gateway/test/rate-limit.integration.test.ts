import { once } from 'node:events'
import { connect } from 'node:net'
import { createServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createLogger } from '@millrace/kit'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { SharedCounts } from '../src/http/shared-counts.ts'
import { openValkeyLeases, type ValkeyPatience } from '../src/http/valkey-leases.ts'
import { type OwnValkey, prepareOwnValkey } from './own-valkey.ts'
import { openTestApp } from './test-app.ts'
import { testCertificate, testKey } from './tls-certificate.ts'

const perMinute = 5
/** For what takes a server's start and the time until it is asked again. */
const soon = { timeout: 30_000, interval: 50 }

/** Enough for any machine: these tests are not about how fast it is. */
const patient: ValkeyPatience = { answerMs: 30_000, connectMs: 30_000, silenceMs: 60_000 }

/** Who is refused tries again until this is over: enough for a busy machine to be refused once. */
const refused: ValkeyPatience = { ...patient, connectMs: 5_000 }

let valkey: OwnValkey
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  valkey = await prepareOwnValkey()
  await valkey.start()
}, 180_000)

afterAll(() => valkey?.close())

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A gateway over fakes that counts in the real store. */
async function openGateway(change: { url?: string; password?: string; patience?: ValkeyPatience } = {}) {
  const { url = `redis://127.0.0.1:${valkey.port}`, password = valkey.password, patience = patient } = change
  const store = await openValkeyLeases({ url, username: undefined, password }, patience)
  closers.push(() => store.close())
  const lines: string[] = []
  const logger = createLogger({ service: 'test', level: 'info', destination: { write: (line) => lines.push(line) } })
  let countedAlone = 0
  const counter = new SharedCounts({ store, nowMs: Date.now, logger, onCountedAlone: () => countedAlone++ })
  const test = await openTestApp({ rateLimitPerMinute: perMinute, rateLimitCounter: counter })
  closers.push(() => test.close())
  const get = async (address: string) => {
    const { statusCode, headers } = await test.app.inject({ url: '/nothing', remoteAddress: address })
    return { status: statusCode, left: /;r=(\d+);/.exec(String(headers.ratelimit))?.[1], wait: headers['retry-after'] }
  }
  return { get, counter, lines, countedAlone: () => countedAlone }
}

describe('gateways that count together', () => {
  it('let through what the limit says, over all of them', async () => {
    const gateways = [await openGateway(), await openGateway()]
    const answers = []
    for (let i = 0; i < 8; i++) answers.push(await gateways[i % 2]?.get('10.2.0.1'))
    expect(answers.map((answer) => answer?.status)).toEqual([404, 404, 404, 404, 404, 429, 429, 429])
    expect(answers.map((answer) => answer?.left)).toEqual(['4', '3', '2', '1', '0', '0', '0', '0'])
    expect(Number(answers[7]?.wait)).toBeGreaterThanOrEqual(1)
    // Another caller has a window of its own.
    expect((await gateways[0]?.get('10.2.0.2'))?.left).toBe('4')
  })

  it('let through no more than that of many requests at once', async () => {
    const gateways = [await openGateway(), await openGateway(), await openGateway()]
    const answers = await Promise.all(gateways.flatMap(({ get }) => Array.from({ length: 10 }, () => get('10.2.0.3'))))
    expect(answers.filter(({ status }) => status === 404)).toHaveLength(perMinute)
    expect(gateways.map(({ countedAlone }) => countedAlone())).toEqual([0, 0, 0])
  })

  it('count each for itself while the store is away, and together when it is back', async () => {
    const gateway = await openGateway()
    expect((await gateway.get('10.2.0.4')).left).toBe('4')
    await valkey.kill()
    for (const left of ['4', '3', '2', '1', '0'])
      expect(await gateway.get('10.2.0.4')).toMatchObject({ status: 404, left })
    expect((await gateway.get('10.2.0.4')).status).toBe(429)
    expect(gateway.counter.isShared).toBe(false)
    expect(gateway.countedAlone()).toBe(6)

    // It has forgotten everything: a window begins anew.
    await valkey.start()
    await vi.waitFor(async () => {
      await gateway.get('10.2.0.5')
      expect(gateway.counter.isShared).toBe(true)
    }, soon)
    expect((await gateway.get('10.2.0.4')).left).toBe('4')
    expect(gateway.lines.map((line) => JSON.parse(line).level)).toEqual(['warn', 'info'])
  })

  it('wait no longer than its bound for a store that has stopped to answer', async () => {
    const gateway = await openGateway({ patience: { ...patient, answerMs: 100 } })
    valkey.pause()
    try {
      expect(await gateway.get('10.2.0.6')).toMatchObject({ status: 404, left: '4' })
      expect(gateway.lines.join()).toContain('no answer within')
      expect(await gateway.get('10.2.0.6')).toMatchObject({ status: 404, left: '3' })
    } finally {
      valkey.resume()
    }
    await vi.waitFor(async () => {
      await gateway.get('10.2.0.7')
      expect(gateway.counter.isShared).toBe(true)
    }, soon)
  })

  it('say why, when the password is wrong', async () => {
    const gateway = await openGateway({ password: 'another one', patience: refused })
    expect(await gateway.get('10.2.0.8')).toMatchObject({ status: 404, left: '4' })
    expect(gateway.lines.join()).toContain('WRONGPASS')
    expect(gateway.lines.join()).not.toContain('another one')
  })

  it('speak TLS, with those whose certificate they trust', async () => {
    const proxy = createServer({ key: testKey, cert: testCertificate }, (socket) => {
      const server = connect(valkey.port, '127.0.0.1')
      socket.on('error', () => server.destroy())
      server.on('error', () => socket.destroy())
      socket.pipe(server).pipe(socket)
    })
    proxy.on('tlsClientError', () => undefined)
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const address = proxy.address()
    const url = `rediss://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    const trusted = getCACertificates('default')
    try {
      const stranger = await openGateway({ url, patience: refused })
      await stranger.get('10.2.0.9')
      expect(stranger.counter.isShared).toBe(false)
      expect(stranger.lines.join()).toContain('DEPTH_ZERO_SELF_SIGNED_CERT')

      setDefaultCACertificates([...trusted, testCertificate])
      const gateway = await openGateway({ url })
      expect((await gateway.get('10.2.0.9')).left).toBe('4')
      expect(gateway.counter.isShared).toBe(true)
    } finally {
      setDefaultCACertificates(trusted)
      for (const close of closers.splice(0).reverse()) await close()
      proxy.close()
    }
  })
})
