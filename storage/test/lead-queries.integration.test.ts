import { randomUUID } from 'node:crypto'
import {
  createAuditRepository,
  createLeadFieldRepository,
  createLeadIntake,
  createLeadRepository,
  type LeadCondition,
  leadSorts,
  type Mysql,
  migrateMysql,
  StorageError,
} from '@millrace/storage/mysql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { indexedAttributesMax, listingInOrderMsMax } from '../src/mysql/limits.ts'
import { leadKeyOfTests, leadOf, mysqlOfTests, sealerOfTests, uniqueName } from './servers.ts'

const mysql = mysqlOfTests()
const leadKey = leadKeyOfTests()
const seal = sealerOfTests(mysql)
const repository = createLeadRepository(mysql, leadKey)

beforeAll(() => migrateMysql(mysql))
afterAll(() => mysql.close())

describe('LeadFieldRepository', () => {
  const definitions = createLeadFieldRepository(mysql)
  const by = { actor: 'account-1', requestId: 'request-1' }
  const content = { undefinedAttributes: 'keep', fields: '[{"name":"size","type":"string"}]' } as const

  it('keeps definitions, counts changes, and lets nobody change what he has not seen', async () => {
    const before = await definitions.changes()
    const [id, source] = [randomUUID(), uniqueName('Straße 🌾')]
    expect(await definitions.create({ id, source, ...content }, by)).toMatchObject({
      outcome: 'done',
      stored: { id, source, version: 1, ...content },
    })
    expect(await definitions.create({ id: randomUUID(), source, ...content }, by)).toEqual({ outcome: 'exists', id })
    const other = { undefinedAttributes: 'refuse', fields: '[]' } as const
    expect(await definitions.replace(id, other, { ...by, versions: [7] })).toEqual({ outcome: 'changed', version: 1 })
    expect(await definitions.replace(id, other, { ...by, versions: [7, 1] })).toMatchObject({
      outcome: 'done',
      stored: { version: 2, ...other },
    })
    expect(await definitions.byId(id)).toMatchObject({ id, source, version: 2, ...other })
    const all = await definitions.readAll()
    expect(all.changes).toBeGreaterThanOrEqual(before + 2)
    expect(all.sources.find((stored) => stored.id === id)).toMatchObject({ source, version: 2, ...other })

    expect(await definitions.remove(id, { ...by, versions: [1] })).toEqual({ outcome: 'changed', version: 2 })
    expect(await definitions.remove(id, { ...by, versions: 'any' })).toMatchObject({ outcome: 'done' })
    expect(await definitions.remove(id, { ...by, versions: 'any' })).toEqual({ outcome: 'missing' })
    expect(await definitions.replace(id, other, { ...by, versions: 'any' })).toEqual({ outcome: 'missing' })
    expect(await definitions.byId(id)).toBeUndefined()

    const audit = createAuditRepository(mysql)
    const entries = (await audit.newest(1_000)).filter(({ subject }) => subject === id)
    expect(entries.map(({ action, actor, requestId, detail }) => [action, actor, requestId, detail])).toEqual([
      ['lead_fields_deleted', 'account-1', 'request-1', 'v2'],
      ['lead_fields_updated', 'account-1', 'request-1', 'v2'],
      ['lead_fields_created', 'account-1', 'request-1', 'v1'],
    ])
  })

  it('lets one of several who change the same version win', async () => {
    const id = randomUUID()
    await definitions.create({ id, source: uniqueName('source'), ...content }, by)
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, () => definitions.replace(id, content, { ...by, versions: [1] })),
    )
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['changed', 'changed', 'changed', 'done'])
    await definitions.remove(id, { ...by, versions: 'any' })
  })

  it('tells sources apart byte by byte, and has definitions for leads that name none', async () => {
    const source = uniqueName('web')
    const ids = [randomUUID(), randomUUID(), randomUUID()] as const
    expect((await definitions.create({ id: ids[0], source, ...content }, by)).outcome).toBe('done')
    expect((await definitions.create({ id: ids[1], source: source.toUpperCase(), ...content }, by)).outcome).toBe(
      'done',
    )
    const none = await definitions.create({ id: ids[2], source: null, ...content }, by)
    expect(none).toMatchObject({ outcome: 'done', stored: { source: null } })
    for (const id of ids) await definitions.remove(id, { ...by, versions: 'any' })
  })
})

describe('LeadRepository.list with conditions on attributes', () => {
  const source = uniqueName('conditions')
  /** No other lead has it. */
  const x = uniqueName('x')
  const ids = new Map<string, string>()
  const crowdedId = randomUUID()

  beforeAll(async () => {
    const values: Record<string, unknown> = {
      none: {},
      null: { [x]: null },
      five: { [x]: 5 },
      'five and a half': { [x]: 5.5 },
      largest: { [x]: 9_007_199_254_740_991 },
      'next to largest': { [x]: 9_007_199_254_740_990 },
      'five as text': { [x]: '5' },
      minus: { [x]: -1e3 },
      a: { [x]: 'a' },
      'a with a space': { [x]: 'a ' },
      A: { [x]: 'A' },
      ä: { [x]: 'ä' },
      wheat: { [x]: '🌾 "quoted" \\ % _ \n end' },
      quote: { [x]: `'; DROP TABLE leads; --` },
      true: { [x]: true },
      false: { [x]: false },
      'true as text': { [x]: 'true' },
      day: { [x]: '2026-02-01' },
      list: { [x]: [5] },
      object: { [x]: { [x]: 5 } },
    }
    const leads = Object.entries(values).map(([name, attributes]) => {
      const lead = leadOf({ source, attributes: JSON.stringify(attributes) })
      ids.set(lead.lead_id, name)
      return lead
    })
    // More attributes than have a row each.
    const others = Object.fromEntries(Array.from({ length: indexedAttributesMax }, (_, index) => [`y${index}`, index]))
    const crowded = leadOf({ lead_id: crowdedId, source, attributes: JSON.stringify({ [x]: 'crowded', ...others }) })
    ids.set(crowdedId, 'crowded')
    leads.push(crowded)
    await createLeadIntake(mysql, leadKey).storeBatch(
      {
        group: uniqueName('group'),
        topic: uniqueName('leads'),
        partition: 0,
        firstOffset: 0,
        nextOffset: leads.length,
        settledOffset: 0,
      },
      await Promise.all(leads.map(async (lead, offset) => ({ offset, value: await seal(lead) }))),
    )
  })

  const orderTakesTooLong: Mysql = {
    ...mysql,
    run: (what, work, options) =>
      options?.selectMsMax === listingInOrderMsMax
        ? Promise.reject(new StorageError('QUERY_TOO_EXPENSIVE', 'as if it had taken too long'))
        : mysql.run(what, work, options),
  }
  /** Every way to the same answer: as if few leads met the filters, few the condition, many, and many of which few are found. */
  const ways = [
    { of: repository, filter: { source } },
    { of: repository, filter: {} },
    { of: createLeadRepository(mysql, leadKey, { candidatesMax: 0 }), filter: { source } },
    { of: createLeadRepository(orderTakesTooLong, leadKey, { candidatesMax: 0 }), filter: { source } },
  ] as const

  const matching = async (...attributes: LeadCondition[]) => {
    const answers = ways.map(async ({ of, filter }) => {
      const found = await of.list({ limit: 100, ...filter, attributes })
      expect(found).toMatchObject({ total: found.leads.length, totalIsExact: true, nextCursor: null })
      return found.leads.map(({ leadId }) => ids.get(leadId)).sort()
    })
    const [first, ...others] = await Promise.all(answers)
    for (const other of others) expect(other).toEqual(first)
    return first
  }
  const text = (operator: LeadCondition['operator'], ...values: string[]): LeadCondition => {
    return { attribute: x, type: 'text', operator, values }
  }
  const number = (operator: LeadCondition['operator'], ...values: number[]): LeadCondition => {
    return { attribute: x, type: 'number', operator, values }
  }
  const boolean = (operator: LeadCondition['operator'], ...values: boolean[]): LeadCondition => {
    return { attribute: x, type: 'boolean', operator, values }
  }

  it('compares numbers as numbers, exactly', async () => {
    expect(await matching(number('eq', 5))).toEqual(['five'])
    expect(await matching(number('gte', 5))).toEqual(['five', 'five and a half', 'largest', 'next to largest'])
    expect(await matching(number('gt', 5), number('lt', 6))).toEqual(['five and a half'])
    expect(await matching(number('lte', 5))).toEqual(['five', 'minus'])
    expect(await matching(number('eq', 9_007_199_254_740_991))).toEqual(['largest'])
    expect(await matching(number('ne', 5))).toEqual(['five and a half', 'largest', 'minus', 'next to largest'])
    expect(await matching(number('in', 5, -1_000, 77))).toEqual(['five', 'minus'])
  })

  it('compares texts with their case, and believes none of them', async () => {
    expect(await matching(text('eq', 'a'))).toEqual(['a'])
    expect(await matching(text('in', 'A', 'ä', 'zzz'))).toEqual(['A', 'ä'])
    expect(await matching(text('eq', '🌾 "quoted" \\ % _ \n end'))).toEqual(['wheat'])
    expect(await matching(text('eq', `'; DROP TABLE leads; --`))).toEqual(['quote'])
    expect(await matching(text('eq', `' OR 1=1 -- `))).toEqual([])
    expect(await matching(text('prefix', 'a'))).toEqual(['a', 'a with a space'])
    expect(await matching(text('prefix', '🌾 "'))).toEqual(['wheat'])
    expect(await matching(text('prefix', '%'))).toEqual([])
    expect(await matching(text('ne', 'a'), text('ne', 'A'), text('ne', '5'))).toEqual([
      'a with a space',
      'crowded',
      'day',
      'quote',
      'true as text',
      'wheat',
      'ä',
    ])
    expect(await matching(text('gte', '2026-01-31'), text('lt', '2026-02-02'))).toEqual(['day'])
    expect(await matching(text('gt', '2026-02-01'), text('lte', '2026-12-31'))).toEqual([])
    expect(await matching(text('eq', 'crowded'))).toEqual(['crowded'])
  })

  it('compares booleans', async () => {
    expect(await matching(boolean('eq', true))).toEqual(['true'])
    expect(await matching(boolean('ne', true))).toEqual(['false'])
  })

  it.each(ways.map((way, index) => [index, way] as const))(
    'goes through pages and from cursor to cursor (%i)',
    async (_, { of, filter }) => {
      const attributes = [number('gte', 5)]
      for (const sort of leadSorts) {
        const query = { limit: 3, ...filter, attributes, sort }
        const first = await of.list(query)
        expect([first.leads.length, first.total, first.totalIsExact]).toEqual([3, 4, true])
        const next = await of.list({ ...query, cursor: first.nextCursor ?? '' })
        expect([next.leads.length, next.total, next.nextCursor]).toEqual([1, 4, null])
        const second = await of.list({ ...query, page: 2 })
        expect(second.leads).toEqual(next.leads)
        expect(await of.list({ ...query, page: 3 })).toMatchObject({ leads: [], total: 4 })
        const all = (await repository.list({ limit: 100, source, attributes, sort })).leads
        expect([...first.leads, ...next.leads]).toEqual(all)
      }
    },
  )

  it('finds leads by candidates within a time and a source', async () => {
    const [lead] = (await repository.list({ limit: 1, attributes: [text('eq', 'a')] })).leads
    const atMs = lead?.receivedAt.getTime() ?? 0
    const totals = async (filter: object) =>
      (await repository.list({ limit: 100, ...filter, attributes: [text('prefix', 'a')] })).total
    expect(await totals({ fromMs: atMs, toMs: atMs + 1 })).toBe(2)
    expect(await totals({ toMs: atMs })).toBe(0)
    expect(await totals({ fromMs: atMs + 1 })).toBe(0)
    expect(await totals({ source: source.toUpperCase() })).toBe(2)
  })

  it.each([
    ['a name that breaks out of its path', { ...text('eq', 'x'), attribute: 'x" OR "1' }],
    ['more than one value', text('eq', 'a', 'b')],
    ['no value', text('in')],
    ['too many values', text('in', ...Array.from({ length: 51 }, String))],
    ['a prefix of a number', number('prefix', 1)],
    ['an order of booleans', boolean('gt', true)],
    ['a number that is none', number('eq', Number.NaN)],
  ])('refuses %s', async (_, condition) => {
    const listed = async () => repository.list({ limit: 1, attributes: [condition] })
    await expect(listed()).rejects.toMatchObject({ code: 'INVALID_QUERY' })
  })

  it('is ended by the server after its time, and the connection is as good as before', async () => {
    const slow = mysql.run('sleeping', (database) => database.execute('SELECT SLEEP(20)'), { selectMsMax: 100 })
    // MySQL answers an interrupted SLEEP with 1, MariaDB with an error.
    const ended = await slow.then(
      ([rows]) => JSON.stringify(rows),
      (error: unknown) => error,
    )
    if (typeof ended === 'string') expect(ended).toBe('[{"SLEEP(20)":1}]')
    else expect(ended).toMatchObject({ code: 'QUERY_TOO_EXPENSIVE' })
    const unbounded = await mysql.run('sleeping', (database) => database.execute('SELECT SLEEP(0.2) AS slept'))
    expect(unbounded[0]).toEqual([{ slept: 0 }])
  })
})
