import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { leadsPerRequestMax } from '../limits.ts'
import { leadId } from './lead-id.ts'

let test: TestApp
beforeAll(async () => {
  test = await openTestApp()
})
afterAll(() => test.close())
beforeEach(() => {
  test.leads.written.length = 0
})

const lead = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' }
const line = JSON.stringify(lead)

function post(body: string | Buffer, type: string, headers: Record<string, string> = {}) {
  return test.app.inject({
    method: 'POST',
    url: '/api/v1/leads/process-bulk',
    headers: { authorization: test.bearer('user'), 'content-type': type, ...headers },
    body,
  })
}
const lines = (body: string | Buffer, headers?: Record<string, string>) => post(body, 'application/x-ndjson', headers)
const array = (items: readonly unknown[], headers?: Record<string, string>) =>
  post(JSON.stringify(items), 'application/json', headers)
const idsOf = (answer: { json(): { results: { lead_id?: string }[] } }) =>
  answer.json().results.map((item) => item.lead_id)

describe('leads as NDJSON', () => {
  it('are taken line by line, and lines without text are passed over', async () => {
    const answer = await lines(`${line}\n\n  \r\n${line}\r\n${line}`)
    expect(answer.statusCode).toBe(202)
    expect(answer.json()).toMatchObject({
      accepted: 3,
      rejected: 0,
      durability: 'kafka',
      results: [
        { index: 0, status: 'accepted' },
        { index: 3, status: 'accepted' },
        { index: 4, status: 'accepted' },
      ],
    })
    expect(test.leads.written).toHaveLength(3)
  })

  it.each(['application/x-ndjson; charset=utf-8', 'Application/X-NDJSON'])('are taken as %s', async (type) => {
    const answer = await post(`${line}\n${line}`, type)
    expect([answer.statusCode, answer.json().accepted]).toEqual([202, 2])
  })

  it('lose only the lines that are wrong, each with its line in the pointer', async () => {
    const deep = `{"attributes":${'['.repeat(40)}${']'.repeat(40)}}`
    const broken = Buffer.concat([Buffer.from('{"first_name":"'), Buffer.from([0xff]), Buffer.from('"}')])
    const twice = line.replace('"Ada"', '"Ada","first_name":"Eve"')
    const body = Buffer.from([line, '{"first_name":', twice, '[]', deep, ''].join('\n'))
    const answer = await lines(Buffer.concat([body, broken]))
    expect(answer.statusCode).toBe(207)
    const { results, accepted, rejected } = answer.json()
    expect([accepted, rejected]).toEqual([1, 5])
    expect(results.map((item: { index: number }) => item.index)).toEqual([0, 1, 2, 3, 4, 5])
    const pointers = results.slice(1).map((item: { errors: { pointer: string }[] }) => item.errors[0]?.pointer)
    expect(pointers.slice(0, 3)).toEqual(['/1', '/2/first_name', '/3'])
    expect(pointers[3]).toMatch(/^\/4\/attributes/)
    expect(pointers[4]).toBe('/5')
    expect(results[1].errors).toHaveLength(1)
  })

  it('are refused when none is valid, and when there is none', async () => {
    const none = await lines('{}\nx\n')
    expect([none.statusCode, none.json().code]).toEqual([400, 'NO_VALID_ITEM'])
    for (const body of ['\n\n', ' ']) expect((await lines(body)).json().code).toBe('INVALID_BODY')
    expect(test.leads.written).toEqual([])
  })

  it('may be 10,000 and no more', async () => {
    const most = `${line}\n`.repeat(leadsPerRequestMax)
    const answer = await lines(most)
    expect([answer.statusCode, answer.json().accepted]).toEqual([202, leadsPerRequestMax])
    const more = await lines(most + line)
    expect([more.statusCode, more.json().code]).toEqual([413, 'BODY_TOO_LARGE'])
  })

  it('get their ids from the request’s key and their lines', async () => {
    const headers = { 'idempotency-key': 'bulk-1' }
    const first = idsOf(await lines(`${line}\n\n${line}\n`, headers))
    expect(first).toEqual([0, 2].map((index) => leadId({ principal: 'id-of-user', key: 'bulk-1', index })))
    expect(idsOf(await lines(`${line}\n\n${line}\n`, headers))).toEqual(first)
  })
})

describe('a key of one lead of a bulk request', () => {
  it('gives the id that the same key in the header of a single request gives, wherever the lead stands', async () => {
    const keyed = { ...lead, idempotency_key: 'crm-7' }
    const [other, own] = idsOf(await array([lead, keyed], { 'idempotency-key': 'bulk-1' }))
    expect(own).toBe(leadId({ principal: 'id-of-user', key: 'crm-7' }))
    expect(other).toBe(leadId({ principal: 'id-of-user', key: 'bulk-1', index: 0 }))
    expect(idsOf(await lines(JSON.stringify(keyed)))).toEqual([own])
    const single = await test.app.inject({
      method: 'POST',
      url: '/api/v1/lead/process-async',
      headers: { authorization: test.bearer('user'), 'idempotency-key': 'crm-7' },
      body: lead,
    })
    expect(single.json().lead_id).toBe(own)
    const hashes = new Set(test.leads.written.map(({ content_hash }) => content_hash))
    expect(hashes.size).toBe(1)
  })

  it.each(['', 'a b', 'é', 'x'.repeat(256), 7, null])('is refused as %j, with the other faults', async (key) => {
    const answer = await array([{ ...lead, email: 'x', idempotency_key: key }, lead])
    expect(answer.statusCode).toBe(207)
    const pointers = answer.json().results[0].errors.map((fault: { pointer: string }) => fault.pointer)
    expect(pointers.sort()).toEqual(['/0/email', '/0/idempotency_key'])
  })

  it('is no field of a single lead', async () => {
    const answer = await test.app.inject({
      method: 'POST',
      url: '/api/v1/lead/process-async',
      headers: { authorization: test.bearer('user') },
      body: { ...lead, idempotency_key: 'crm-7' },
    })
    expect(answer.json().errors).toMatchObject([{ pointer: '/idempotency_key' }])
  })
})
