import { randomUUID } from 'node:crypto'
import mysql from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, GatewayClient, required } from './gateway-client.ts'

/** How long a lead, or an entry of the log, takes to MySQL, on a busy machine. */
const lateMs = 60_000
let database: mysql.Connection
let user: GatewayClient
let admin: GatewayClient

beforeAll(async () => {
  database = await mysql.createConnection({
    host: required('MILLRACE_MYSQL_HOST'),
    port: Number(required('MILLRACE_MYSQL_PORT')),
    user: required('MILLRACE_MYSQL_USER'),
    password: required('MILLRACE_MYSQL_PASSWORD'),
    database: required('MILLRACE_MYSQL_DATABASE'),
  })
  user = await GatewayClient.as('user')
  admin = await GatewayClient.as('admin')
})
afterAll(() => database?.end())

const lead = () => ({
  first_name: 'Ada',
  last_name: 'Lovelace',
  email: `ada-${randomUUID()}@example.org`,
  attributes: { budget: 1000 },
})

async function rowsOf(leadId: string): Promise<mysql.RowDataPacket[]> {
  const [rows] = await database.execute<mysql.RowDataPacket[]>('SELECT * FROM leads WHERE lead_id = ?', [leadId])
  return rows
}

describe('a synchronous lead', () => {
  it('answers stored when MySQL holds it, and the same lead_id for the same Idempotency-Key', async () => {
    const body = lead()
    const key = { 'idempotency-key': randomUUID() }
    const first = await user.post('/api/v1/lead/process', body, key)
    expect(first.status, JSON.stringify(first.body)).toBe(201)
    expect(first.body.outcome).toBe('stored')
    expect(await rowsOf(first.body.lead_id)).toMatchObject([{ status: 'stored', attributes: '{"budget":1000}' }])
    const read = async () => (await admin.get(`/api/v1/leads/${first.body.lead_id}`)).body
    expect(await read()).toMatchObject({ email: body.email, first_name: 'Ada' })

    const again = await user.post('/api/v1/lead/process', body, key)
    expect(again.status).toBe(200)
    expect(again.body).toMatchObject({ lead_id: first.body.lead_id, outcome: 'duplicate' })
    expect(await rowsOf(first.body.lead_id)).toHaveLength(1)

    const other = await user.post('/api/v1/lead/process', { ...body, last_name: 'Byron' }, key)
    expect(other.status).toBe(422)
    expect(await read()).toMatchObject({ last_name: 'Lovelace' })
  })

  it('is refused with a pointer for every faulty field', async () => {
    const answer = await user.post('/api/v1/lead/process', { first_name: '', email: 'no-address', shoe_size: 44 })
    expect(answer.status).toBe(400)
    const pointers = answer.body.errors.map((error: { pointer: string }) => error.pointer).sort()
    expect(pointers).toEqual(['/email', '/first_name', '/last_name', '/shoe_size'])
  })
})

describe('asynchronous and bulk leads', () => {
  it('land in MySQL after their 202, and an admin lists them', async () => {
    const one = lead()
    const accepted = await user.post('/api/v1/lead/process-async', one)
    expect(accepted.status).toBe(202)
    await eventually(
      lateMs,
      () => rowsOf(accepted.body.lead_id),
      (rows) => expect(rows).toHaveLength(1),
    )

    const bulk = await user.post('/api/v1/leads/process-bulk', [lead(), { first_name: 'X' }, lead()])
    expect(bulk.status).toBe(207)
    expect(bulk.body).toMatchObject({ accepted: 2, rejected: 1 })
    for (const result of bulk.body.results.filter(
      (item: { lead_id?: string }) => item.lead_id !== undefined && item.lead_id !== null,
    )) {
      await eventually(
        lateMs,
        () => rowsOf(result.lead_id),
        (rows) => expect(rows).toHaveLength(1),
      )
    }

    const found = await admin.get(`/api/v1/leads/${accepted.body.lead_id}`)
    expect(found.status).toBe(200)
    expect(found.body).toMatchObject({ lead_id: accepted.body.lead_id, email: one.email, attributes: { budget: 1000 } })
    const listed = await admin.get('/api/v1/leads?page=1&limit=5')
    expect(listed.status).toBe(200)
    expect(listed.body.leads.length).toBeGreaterThan(0)
    expect((await user.get('/api/v1/leads')).status).toBe(403)
  })
})

describe('the API log', () => {
  it('has the request and the response of a call, and nothing personal', async () => {
    const body = lead()
    const answer = await user.post('/api/v1/lead/process', body)
    const requestId = answer.headers.get('x-request-id')
    const look = async () => {
      const [requests] = await database.execute<mysql.RowDataPacket[]>(
        'SELECT * FROM api_request_logs WHERE request_id = ?',
        [requestId],
      )
      const [responses] = await database.execute<mysql.RowDataPacket[]>(
        'SELECT * FROM api_response_logs WHERE request_id = ?',
        [requestId],
      )
      return { requests, responses }
    }
    const { requests, responses } = await eventually(lateMs, look, (found) => {
      expect(found.requests).toHaveLength(1)
      expect(found.responses).toHaveLength(1)
    })
    expect(requests[0]).toMatchObject({ method: 'POST', route: '/api/v1/lead/process' })
    expect(responses[0]).toMatchObject({ status: 201 })
    expect(JSON.stringify([requests, responses])).not.toContain(body.email)
  })
})
