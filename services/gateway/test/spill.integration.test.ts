import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type EventLoad, startEventLoad } from './event-load.ts'
import { type OwnKafka, prepareOwnKafka } from './own-kafka.ts'
import { type RunningGateway, seedAccounts, startGateway } from './running-gateway.ts'
import { openServers, type RealServers } from './servers.ts'

/** Longer than a busy machine takes for a request that waits for nothing but the disk: so it can be told from one that waits for Kafka. */
const afterMs = 2_000
/** For what takes a broker's start and the replay. */
const soon = { timeout: 60_000, interval: 100 }
const directory = mkdtempSync(join(tmpdir(), 'millrace-spill-'))
let kafka: OwnKafka
let servers: RealServers
let gateway: RunningGateway
let token = ''

beforeAll(async () => {
  kafka = await prepareOwnKafka()
  await kafka.start()
  vi.stubEnv('MILLRACE_KAFKA_BROKERS', kafka.address)
  servers = await openServers()
  expect(await seedAccounts()).toMatchObject({ code: 0 })
  await openGateway()
}, 240_000)

afterAll(async () => {
  await gateway?.stop()
  await servers?.close()
  await kafka?.close()
  vi.unstubAllEnvs()
  rmSync(directory, { recursive: true, force: true })
})

async function openGateway(): Promise<void> {
  gateway = await startGateway({ MILLRACE_SPILL_DIR: directory, MILLRACE_SPILL_AFTER_MS: String(afterMs) })
  const login = await fetch(`${gateway.url}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: 'password' }),
  })
  expect(login.status).toBe(200)
  token = JSON.parse(await login.text()).token
}

function startLoad(run: string): EventLoad {
  const authorization = () => `Bearer ${token}`
  return startEventLoad({ url: gateway.url, authorization, users: 16, eventsPerRequest: 3, run, pauseMs: 5 })
}

/** Waits until so many more events got this answer. */
async function untilMore(load: EventLoad, outcome: string, count: number): Promise<void> {
  const seen = load.sent.length
  const more = () => load.sent.slice(seen).filter((event) => event.outcome === outcome).length
  await expect.poll(more, soon).toBeGreaterThan(count)
}

/** Compares what was answered with what is in the topic: nothing acknowledged is missing, nothing is there twice, and all is in order. */
async function judge(load: EventLoad, run: string): Promise<void> {
  const acknowledged = load.sent.filter(({ outcome }) => outcome === 'kafka' || outcome === 'spooled')
  const known = new Set(load.sent.map(({ id }) => id))
  const inKafka = await servers.collect('events', 'event', 'earliest')
  await inKafka.follower.caughtUp
  const found = inKafka.records.map(({ value }) => value).filter(({ event_id }) => event_id.startsWith(`${run}-`))
  await inKafka.follower.close()
  const ids = found.map(({ event_id }) => event_id)
  const unique = new Set(ids)
  expect(ids.length - unique.size, 'events that are there twice').toBe(0)
  expect(acknowledged.filter(({ id }) => !unique.has(id)).map(({ id }) => id)).toEqual([])
  expect(ids.filter((id) => !known.has(id))).toEqual([])
  const last = new Map<string, number>()
  for (const { user_id, value } of found) {
    expect(value).toBeGreaterThan(last.get(user_id) ?? -1)
    last.set(user_id, value ?? 0)
  }
}

async function health() {
  const answer = await fetch(`${gateway.url}/api/v1/health`)
  return { code: answer.status, ...JSON.parse(await answer.text()) }
}

async function send(path: string, body: unknown) {
  const answer = await fetch(gateway.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, json: JSON.parse(await answer.text()) }
}

const counted = (load: EventLoad, outcome: string) => load.sent.filter((event) => event.outcome === outcome).length

describe('under load,', () => {
  it('a broker that is killed and comes back costs nothing that was acknowledged', async () => {
    const run = `kill-${randomUUID().slice(0, 8)}`
    const load = startLoad(run)
    await untilMore(load, 'kafka', 300)
    await kafka.kill()
    await untilMore(load, 'spooled', 100)
    // Once it is known that Kafka is away, nobody waits for it. One request may be slow by chance; waiting would make every one so.
    const known = load.sent.length
    await untilMore(load, 'spooled', 300)
    const waited = load.sent.slice(known).filter(({ tookMs }) => tookMs >= afterMs)
    expect(waited.length).toBeLessThan((load.sent.length - known) / 2)

    const lead = { first_name: 'A', last_name: 'B', email: `${run}@example.org` }
    expect(await send('/api/v1/lead/process', lead)).toMatchObject({ status: 503, json: { code: 'KAFKA_UNAVAILABLE' } })
    const later = await send('/api/v1/lead/process-async', lead)
    expect(later).toMatchObject({ status: 202, json: { durability: 'spooled' } })
    await expect.poll(health, soon).toMatchObject({
      code: 200,
      status: 'degraded',
      checks: { kafka: { status: 'down' }, spill: { status: 'down' }, intake: { status: 'ok' } },
    })
    expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200)
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
    expect(metrics).toMatch(/^millrace_gateway_spill_active\{.*\} 1$/m)
    expect(metrics).toMatch(/^millrace_gateway_spill_requests\{.*\} [1-9]/m)

    await kafka.start()
    await untilMore(load, 'kafka', 300)
    await load.stop()
    expect(load.sent.filter(({ outcome }) => outcome.startsWith('refused'))).toEqual([])
    expect(counted(load, 'unknown')).toBe(0)
    await judge(load, run)
    const leads = await servers.collect('leads', 'lead', 'earliest')
    await leads.follower.caughtUp
    expect(leads.records.filter(({ value }) => value.lead_id === later.json.lead_id)).toHaveLength(1)
    await leads.follower.close()
    await expect.poll(health, soon).toMatchObject({ code: 200, status: 'ok' })
  }, 240_000)

  it('a broker that stops for a while, and then does what it was asked before, repeats nothing', async () => {
    const run = `pause-${randomUUID().slice(0, 8)}`
    const load = startLoad(run)
    await untilMore(load, 'kafka', 300)
    kafka.pause()
    await untilMore(load, 'spooled', 300)
    kafka.resume()
    await untilMore(load, 'kafka', 300)
    await load.stop()
    expect(counted(load, 'unknown')).toBe(0)
    await judge(load, run)
  }, 240_000)

  it('a gateway that is killed while Kafka is away brings everything to Kafka when both are back', async () => {
    const run = `both-${randomUUID().slice(0, 8)}`
    const load = startLoad(run)
    await untilMore(load, 'kafka', 300)
    kafka.pause()
    await untilMore(load, 'spooled', 300)
    gateway.process.kill('SIGKILL')
    await untilMore(load, 'unknown', 10)
    kafka.resume()
    await openGateway()
    load.redirect(gateway.url)
    await untilMore(load, 'kafka', 300)
    await load.stop()
    expect(counted(load, 'spooled')).toBeGreaterThan(300)
    await judge(load, run)
  }, 240_000)

  it('a gateway that is killed while it replays neither loses nor repeats anything', async () => {
    const run = `replay-${randomUUID().slice(0, 8)}`
    const load = startLoad(run)
    await untilMore(load, 'kafka', 100)
    kafka.pause()
    await untilMore(load, 'spooled', 2_000)
    kafka.resume()
    await expect
      .poll(() => gateway.log(), { timeout: 60_000, interval: 1 })
      .toContain('the spill log is being replayed')
    gateway.process.kill('SIGKILL')
    await openGateway()
    load.redirect(gateway.url)
    await untilMore(load, 'kafka', 100)
    await load.stop()
    await judge(load, run)
  }, 240_000)
})

it('stops in time while Kafka is away, and goes on where it stopped', async () => {
  const run = `stop-${randomUUID().slice(0, 8)}`
  const load = startLoad(run)
  await untilMore(load, 'kafka', 100)
  kafka.pause()
  await untilMore(load, 'spooled', 100)
  const code = await gateway.stop()
  await load.stop()
  kafka.resume()
  expect(code).toBe(0)
  await openGateway()
  await expect.poll(health, soon).toMatchObject({ status: 'ok' })
  await judge(load, run)
}, 240_000)

it('starts while Kafka is away with what is known of it, and goes to Kafka when it is back', async () => {
  const run = `away-${randomUUID().slice(0, 8)}`
  expect(await gateway.stop()).toBe(0)
  await kafka.kill()
  await openGateway()
  const load = startLoad(run)
  await untilMore(load, 'spooled', 300)
  const lead = { first_name: 'A', last_name: 'B', email: `${run}@example.org` }
  expect(await send('/api/v1/lead/process', lead)).toMatchObject({ status: 503, json: { code: 'NOT_READY' } })
  expect(await health()).toMatchObject({ code: 200, status: 'degraded', checks: { intake: { status: 'ok' } } })
  // What was taken survives also a second start without Kafka.
  gateway.process.kill('SIGKILL')
  await untilMore(load, 'unknown', 1)
  await openGateway()
  load.redirect(gateway.url)
  await untilMore(load, 'spooled', 300)
  await kafka.start()
  await untilMore(load, 'kafka', 300)
  await load.stop()
  await judge(load, run)
  await expect.poll(health, soon).toMatchObject({ code: 200, status: 'ok' })
}, 240_000)

it('two gateways cannot share a directory', async () => {
  await expect(startGateway({ MILLRACE_SPILL_DIR: directory })).rejects.toThrow('another gateway uses')
})
