import { randomUUID } from 'node:crypto'
import { createAuditRepository, createLeadIntake } from '@millrace/storage/mysql'
import { readLeadKey } from '@millrace/storage/sealing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, seedAccounts, startGateway } from './running-gateway.ts'
import { openServers, type RealServers, required } from './servers.ts'

let servers: RealServers
let told: RunningGateway
let other: RunningGateway
let token: string
const source = `web-${randomUUID().slice(0, 8)}`
const lead = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com', source }

beforeAll(async () => {
  servers = await openServers()
  expect(await seedAccounts()).toMatchObject({ code: 0 })
  const gateways = await Promise.all([startGateway(), startGateway()])
  told = gateways[0]
  other = gateways[1]
  const login = { username: 'admin', password: 'password' }
  token = (await send(told, 'POST', '/api/v1/login', { body: login })).json.token
}, 120_000)

afterAll(async () => {
  await Promise.all([told?.stop(), other?.stop()])
  await servers?.close()
})

interface Answer {
  readonly status: number
  readonly etag: string | null
  // What an API answers is what these tests are to find out.
  readonly json: ReturnType<typeof JSON.parse>
}

async function send(
  gateway: RunningGateway,
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const answer = await fetch(gateway.url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, etag: answer.headers.get('etag'), json: text === '' ? undefined : JSON.parse(text) }
}

/** What a gateway says to a lead with these attributes. */
async function submit(gateway: RunningGateway, attributes: object): Promise<number> {
  return (await send(gateway, 'POST', '/api/v1/lead/process-async', { body: { ...lead, attributes } })).status
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`not within 30 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('definitions of lead fields', () => {
  it('hold on every gateway, from the first to the last version, and are in the audit log', async () => {
    expect([await submit(told, {}), await submit(other, {})]).toEqual([202, 202])
    const fields = [{ name: 'budget', type: 'integer', required: true, min: 0 }]
    const made = await send(told, 'POST', '/api/v1/lead-fields', { body: { source, fields } })
    expect([made.status, made.etag]).toEqual([201, '"1"'])
    expect([await submit(told, {}), await submit(told, { budget: 5 })]).toEqual([400, 202])
    await until('the other gateway refuses the lead', async () => (await submit(other, {})) === 400)
    expect(await submit(other, { budget: 5 })).toBe(202)

    const path = `/api/v1/lead-fields/${made.json.id}`
    const [first, second] = await Promise.all(
      [told, other].map((gateway) =>
        send(gateway, 'PUT', path, { body: { fields: [] }, headers: { 'if-match': '"1"' } }),
      ),
    )
    expect([first?.status, second?.status].sort()).toEqual([200, 412])
    await until('both take the lead', async () => (await submit(told, {})) + (await submit(other, {})) === 404)
    expect((await send(other, 'DELETE', path, { headers: { 'if-match': '"2"' } })).status).toBe(204)
    const entries = (await createAuditRepository(servers.mysql).newest(1_000)).filter(
      ({ subject }) => subject === made.json.id,
    )
    expect(entries.map(({ action }) => action)).toEqual([
      'lead_fields_deleted',
      'lead_fields_updated',
      'lead_fields_created',
    ])
  }, 120_000)

  it('are what leads can be asked for', async () => {
    const fields = [
      { name: 'budget', type: 'integer' },
      { name: 'plan', type: 'enum', values: ['free', 'pro'] },
    ]
    const made = await send(told, 'POST', '/api/v1/lead-fields', { body: { source, fields } })
    expect(made.status).toBe(201)
    const attributes = [
      { budget: 500, plan: 'free' },
      { budget: 1_000, plan: 'free' },
      { budget: 5_000, plan: 'pro' },
      {},
    ]
    const leads = attributes.map((value, index) => ({
      lead_id: randomUUID(),
      first_name: 'Ada',
      last_name: 'Lovelace',
      email: `ada-${index}@example.com`,
      phone: null,
      date_of_birth: null,
      address: null,
      city: null,
      postal_code: null,
      country: null,
      source,
      campaign: null,
      consent: null,
      attributes: JSON.stringify(value),
      content_hash: 'a'.repeat(64),
      submitted_by: 'test',
      request_id: randomUUID(),
      received_at: Date.now() + index,
      key_tree: null,
      key_leaf: null,
      sealed: null,
    }))
    await createLeadIntake(servers.mysql, readLeadKey(required('MILLRACE_LEAD_KEY'))).storeBatch(
      {
        group: `test-${source}`,
        topic: `leads-${source}`,
        partition: 0,
        firstOffset: 0,
        nextOffset: leads.length,
        settledOffset: 0,
      },
      leads.map((value, offset) => ({ offset, value })),
    )
    const query = `/api/v1/leads?source=${source}&attributes.budget=gte:1000&sort=received_at`
    const found = await send(told, 'GET', query)
    expect(found.status).toBe(200)
    expect(found.json.leads.map(({ lead_id }: { lead_id: string }) => lead_id)).toEqual(
      leads.slice(1, 3).map(({ lead_id }) => lead_id),
    )
    expect((await send(told, 'GET', `${query}&attributes.plan=ne:free`)).json.total).toBe(1)
    const same = await send(told, 'GET', query, { headers: { 'if-none-match': found.etag ?? '' } })
    expect([same.status, same.json, same.etag]).toEqual([304, undefined, found.etag])
    const unknown = await send(told, 'GET', `/api/v1/leads?source=${source}&attributes.colour=eq:red`)
    expect([unknown.status, unknown.json.code]).toEqual([400, 'INVALID_PARAMETER'])
    await send(told, 'DELETE', `/api/v1/lead-fields/${made.json.id}`, { headers: { 'if-match': '*' } })
  }, 120_000)
})
