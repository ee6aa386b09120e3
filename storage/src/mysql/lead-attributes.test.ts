import { MySqlDialect } from 'drizzle-orm/mysql-core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attributeRows, candidatesOf, valueBytesMax } from './lead-attributes.ts'
import type { LeadCondition, LeadOperator } from './lead-conditions.ts'
import { indexedAttributesMax } from './limits.ts'

const lead = { leadId: '3d6ab5ac-1267-45bf-add6-b34b68b74027', receivedAt: new Date(1_700_000_000_000), source: 'web' }

function rowsOf(attributes: object) {
  return attributeRows({ ...lead, attributes: JSON.stringify(attributes) })
}

function bytesOf(value: string | number | boolean): Buffer {
  const [row] = rowsOf({ x: value })
  if (row === undefined) throw new Error('the attribute has no row')
  return row.value
}

/** Whether the row of a value is among the candidates, by the bounds that the condition binds. */
function isCandidate(value: string | number | boolean, condition: LeadCondition): boolean {
  const where = candidatesOf(condition, {})
  if (where === undefined) throw new Error('the condition has no candidates')
  const { sql: text, params } = new MySqlDialect().sqlToQuery(where)
  const bounds = params.filter((param) => Buffer.isBuffer(param))
  const comparisons = [...text.matchAll(/`value` (=|>=|<=|<) \?/g)].map(([, comparison]) => comparison)
  expect(comparisons).toHaveLength(bounds.length)
  const bytes = bytesOf(value)
  const holds = comparisons.map((comparison, index) => {
    const order = Buffer.compare(bytes, bounds[index] ?? Buffer.alloc(0))
    return comparison === '='
      ? order === 0
      : comparison === '<'
        ? order < 0
        : comparison === '<='
          ? order <= 0
          : order >= 0
  })
  return condition.operator === 'in' ? holds.some(Boolean) : holds.every(Boolean)
}

const number = fc.double({ noNaN: true, noDefaultInfinity: true })
const short = fc.string({ unit: fc.constantFrom(...'ab"\\\n!~äş🌾 '), maxLength: 60 })

describe('the rows of attributes', () => {
  it('are one for each value that can be asked for', () => {
    const rows = rowsOf({
      size: 40,
      plan: 'pro',
      ok: true,
      nothing: null,
      list: [1],
      inner: { x: 1 },
      'no name': 1,
      '': 2,
    })
    expect(rows.map(({ name, value }) => [name, value.toString('latin1')])).toEqual([
      ['size', 'n\xc0\x44\0\0\0\0\0\0'],
      ['plan', 'tpro"'],
      ['ok', 'b1'],
    ])
    expect(rows[0]).toMatchObject(lead)
    expect(rowsOf({})).toEqual([])
  })

  it('are a single one of a lead that has too many, which is a candidate for everything', () => {
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`x${index}`, index]))
    expect(rowsOf(many(indexedAttributesMax))).toHaveLength(indexedAttributesMax)
    expect(rowsOf(many(indexedAttributesMax + 1))).toEqual([{ name: '', value: Buffer.alloc(0), ...lead }])
  })

  it('are a single one of what is no JSON object for us', () => {
    for (const attributes of ['{"x":1,}', '5']) {
      expect(attributeRows({ ...lead, attributes })).toEqual([{ name: '', value: Buffer.alloc(0), ...lead }])
    }
  })

  it('are in the order of numbers', () => {
    fc.assert(
      fc.property(number, number, (a, b) => {
        const order = a === b ? 0 : a < b ? -1 : 1
        expect(Buffer.compare(bytesOf(a), bytesOf(b))).toBe(order)
      }),
    )
    expect(bytesOf(-0)).toEqual(bytesOf(0))
  })

  it('never have more bytes than the column', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => bytesOf(text).length <= valueBytesMax),
    )
  })
})

describe('candidates', () => {
  const meets: Readonly<Record<Exclude<LeadOperator, 'ne' | 'in' | 'prefix'>, (order: number) => boolean>> = {
    eq: (order) => order === 0,
    gt: (order) => order > 0,
    gte: (order) => order >= 0,
    lt: (order) => order < 0,
    lte: (order) => order <= 0,
  }
  const operator = fc.constantFrom('eq', 'gt', 'gte', 'lt', 'lte')

  it('are all numbers that meet a condition', () => {
    fc.assert(
      fc.property(operator, number, number, (by, value, wanted) => {
        if (!meets[by](value === wanted ? 0 : value < wanted ? -1 : 1)) return
        expect(isCandidate(value, { attribute: 'x', type: 'number', operator: by, values: [wanted] })).toBe(true)
      }),
    )
  })

  it('are all texts that meet a condition, by the order of their JSON, however long they are', () => {
    fc.assert(
      fc.property(operator, short, short, (by, value, wanted) => {
        const order = Buffer.compare(Buffer.from(JSON.stringify(value)), Buffer.from(JSON.stringify(wanted)))
        if (!meets[by](order)) return
        expect(isCandidate(value, { attribute: 'x', type: 'text', operator: by, values: [wanted] })).toBe(true)
      }),
    )
  })

  it('are all texts with a prefix', () => {
    fc.assert(
      fc.property(short, short, (prefix, rest) => {
        const condition = { attribute: 'x', type: 'text', operator: 'prefix', values: [prefix] } as const
        expect(isCandidate(prefix + rest, condition)).toBe(true)
      }),
    )
  })

  it('are not values of another type, nor those that are out of bounds', () => {
    expect(isCandidate('5', { attribute: 'x', type: 'number', operator: 'gte', values: [1] })).toBe(false)
    expect(isCandidate(5, { attribute: 'x', type: 'text', operator: 'lte', values: ['9'] })).toBe(false)
    expect(isCandidate(4.9, { attribute: 'x', type: 'number', operator: 'gte', values: [5] })).toBe(false)
    expect(isCandidate('b', { attribute: 'x', type: 'text', operator: 'prefix', values: ['a'] })).toBe(false)
    expect(isCandidate(true, { attribute: 'x', type: 'boolean', operator: 'eq', values: [false] })).toBe(false)
    expect(isCandidate(6, { attribute: 'x', type: 'number', operator: 'in', values: [5, 7] })).toBe(false)
    expect(isCandidate(7, { attribute: 'x', type: 'number', operator: 'in', values: [5, 7] })).toBe(true)
  })

  it('are not to be had of what nearly all leads meet', () => {
    expect(candidatesOf({ attribute: 'x', type: 'number', operator: 'ne', values: [1] }, {})).toBeUndefined()
  })
})
