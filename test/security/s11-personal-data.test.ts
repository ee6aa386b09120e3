import { randomUUID } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import type { GatewayApp } from '../../services/gateway/src/http/gateway-app.ts'
import { openServers } from '../../services/gateway/test/servers.ts'
import { accounts, eventually, required } from '../e2e/gateway-client.ts'
import { type Answer, answerOf, attackGateway } from './attacked-gateway.ts'
import { mustFail } from './proof.ts'
import { event } from './samples.ts'

/** Texts that occur nowhere else. */
function makeCanaries() {
  const id = randomUUID().replaceAll('-', '')
  return {
    email: `canary.${id}@pii.example`,
    first_name: `Firstname${id}`,
    last_name: `Lastname${id}`,
    phone: `+49 (${String(Number.parseInt(id.slice(0, 12), 16)).padStart(15, '0')})`,
    address: `Street ${id} 7`,
    password: `password-${id}`,
    note: `note-${id}`,
    token: `eyJhbGciOiJIUzI1NiJ9.${id}.${id}`,
    key: `mk_${id.slice(0, 16)}_${id}`,
  }
}
type Canaries = ReturnType<typeof makeCanaries>

type Send = (path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>

/** Sends them wherever such data belong and where they do not, and answers with the bodies of the errors. */
async function sendAll(canaries: Canaries, send: Send): Promise<readonly string[]> {
  const { password, note, token, key, ...person } = canaries
  const lead = { ...person, attributes: { note, card: note } }
  const errors: string[] = []
  const refuse = async (answer: Promise<Answer>) => {
    const { status, body } = await answer
    expect(status).toBeGreaterThanOrEqual(400)
    errors.push(JSON.stringify(body))
  }
  expect((await send('/api/v1/lead/process-async', lead)).status).toBe(202)
  expect((await send('/api/v1/leads/process-bulk', [lead])).status).toBe(202)
  const metadata = { email: person.email, note }
  expect((await send('/events', { ...event, event_id: note, user_id: person.email, metadata })).status).toBe(202)
  // With faults in every field, in the JSON itself, and where nobody is known.
  await refuse(send('/api/v1/lead/process', { ...lead, email: `${note} no address`, country: note }))
  await refuse(send('/api/v1/lead/process-async', { ...lead, date_of_birth: note, phone: `${person.phone} ${note}` }))
  await refuse(
    send('/events', { ...event, user_id: `${person.email}\u0007`, event_type: `<${note}>`, timestamp: note }),
  )
  await refuse(send('/events', `{"user_id":"${person.email}","note":"${note}`))
  await refuse(send('/api/v1/login', { username: person.email.slice(0, 60), password }))
  await refuse(send('/api/v1/login', { username: 'admin', password: `${password} wrong` }))
  await refuse(send('/api/v1/token/refresh', { refresh_token: `mr_${note}` }))
  await refuse(send('/api/v1/user/profile', undefined, { authorization: `Bearer ${token}` }))
  await refuse(send('/api/v1/user/profile', undefined, { authorization: '', 'x-api-key': key }))
  const email = encodeURIComponent(person.email)
  await refuse(send(`/api/v1/leads?email=${email}&status=${note}&limit=x`))
  await refuse(send(`/events?user_id=${email}&cursor=${note}&limit=${note}`))
  await refuse(send(`/nothing?email=${email}&token=${token}`))
  expect((await send(`/api/v1/leads?email=${email}`)).status).toBe(200)
  return errors
}

/** What of them is in a text; written as JSON, in an address, or as it is. */
function leaks(text: string, canaries: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(canaries)
    .filter(([, value]) =>
      [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)].some((form) => text.includes(form)),
    )
    .map(([name]) => name)
}

function expectNone(texts: Readonly<Record<string, string>>, canaries: Readonly<Record<string, string>>): void {
  for (const [where, text] of Object.entries(texts)) {
    expect([where, text.length > 0, leaks(text, canaries)]).toEqual([where, true, []])
  }
}

/** In a gateway over fakes: what it logs, counts and answers. */
async function leakHere(prepare?: (app: GatewayApp) => void): Promise<void> {
  const canaries = makeCanaries()
  await attackGateway(
    async ({ ask, test }) => {
      const send: Send = (path, body, headers) =>
        ask(path, { headers: { authorization: test.bearer('admin'), ...headers }, ...bodyOf(body) })
      const errors = await sendAll(canaries, send)
      // The store's failure is logged with its cause.
      const { body } = await ask('/metrics')
      expect(leaks(JSON.stringify(test.leads.written), canaries)).toContain('email')
      test.logLines.push('the log may be empty\n')
      const texts = { log: test.logLines.join(''), metrics: body, errors: errors.join('\n') }
      expectNone({ ...texts, 'API log': JSON.stringify(test.apiLogs) }, canaries)
    },
    {},
    prepare,
  )
}

const bodyOf = (body: unknown) =>
  body === undefined ? {} : { method: 'POST', body: typeof body === 'string' ? body : Object(body) }

describe('S11 personal data and secrets', () => {
  it('are in no log, metric or error of the gateway', () => leakHere())
  it('proof: a gateway that logs what it is sent would be found out', () =>
    mustFail(() =>
      leakHere((app) => {
        app.addHook('preHandler', async (request) => {
          request.log.info({ name: request.body }, 'a body')
        })
      }),
    ))

  it('are in no log of any service, in no entry of the API log and in no metric of the stack', async () => {
    const canaries = makeCanaries()
    const url = required('MILLRACE_GATEWAY_URL')
    const servers = await openServers()
    try {
      const apiLogs = await servers.collect('api-logs', 'api-log', 'latest')
      const signIn = { method: 'POST', headers: { 'content-type': 'application/json' } }
      const login = await answerOf(
        await fetch(`${url}/api/v1/login`, { ...signIn, body: JSON.stringify(accounts.admin) }),
      )
      const requestIds: string[] = []
      const send: Send = async (path, body, headers) => {
        const { authorization = `Bearer ${login.body.token}`, ...others } = headers ?? {}
        const text = typeof body === 'string' ? body : JSON.stringify(body)
        const response = await fetch(url + path, {
          headers: {
            ...(authorization === '' ? {} : { authorization }),
            'content-type': 'application/json',
            ...others,
          },
          ...(body === undefined ? {} : { method: 'POST', body: text }),
        })
        requestIds.push(response.headers.get('x-request-id') ?? '')
        return await answerOf(response)
      }
      const errors = await sendAll(canaries, send)

      // Everything has come to the end of its way before anything is searched.
      const wanted = requestIds.at(-1)
      await expect.poll(() => apiLogs.records.some(({ value }) => value.request_id === wanted), late).toBe(true)
      const rows = await eventually(late.timeout, readApiLogs, (found) => {
        expect(found.some(({ request_id: id }) => id === wanted)).toBe(true)
      })
      const lead = () => send(`/api/v1/leads?email=${encodeURIComponent(canaries.email)}`)
      await eventually(late.timeout, lead, ({ body }) => expect(body.total).toBeGreaterThan(0))
      const health = await answerOf(await fetch(`${url}/api/v1/health`))
      const metrics = await answerOf(await fetch(`${url}/metrics`))
      expectNone(
        {
          'error bodies': errors.join('\n'),
          'topic api-logs': JSON.stringify(apiLogs.records.map(({ value }) => value)),
          'tables of API logs': JSON.stringify(rows),
          metrics: metrics.body,
          health: JSON.stringify(health.body),
          logs: logsOfTheStack(),
        },
        {
          ...canaries,
          issued: login.body.token,
          refresh: login.body.refresh_token,
        },
      )
    } finally {
      await servers.close()
    }
  })
})

/** How long a record takes through the stack, on a busy machine. */
const late = { timeout: 60_000, interval: 200 }

async function readApiLogs(): Promise<readonly mysql.RowDataPacket[]> {
  const database = await mysql.createConnection({
    host: required('MILLRACE_MYSQL_HOST'),
    port: Number(required('MILLRACE_MYSQL_PORT')),
    user: required('MILLRACE_MYSQL_USER'),
    password: required('MILLRACE_MYSQL_PASSWORD'),
    database: required('MILLRACE_MYSQL_DATABASE'),
  })
  try {
    const [rows] = await database.query<mysql.RowDataPacket[]>(
      'SELECT * FROM api_request_logs JOIN api_response_logs USING (request_id) ORDER BY received_at DESC LIMIT 5000',
    )
    return rows
  } finally {
    await database.end()
  }
}

/** All that servers and services have logged, beside the state of the same stack. */
function logsOfTheStack(): string {
  const folder = join(required('MILLRACE_STATE_DIR'), '..', 'logs')
  const files = globSync('**/*', { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile())
  expect(files.map(({ name }) => name).join(' ')).toContain('gateway')
  return files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8')).join('\n')
}
