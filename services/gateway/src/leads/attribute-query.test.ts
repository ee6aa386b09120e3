import { describe, expect, it } from 'vitest'
import type { Fault } from '../errors.ts'
import { readAttributeConditions } from './attribute-query.ts'
import type { FieldDefinition } from './field-definition.ts'
import { compileFieldRules } from './field-rules.ts'
import type { LeadFields } from './live-fields.ts'

function fieldsOf(sources: Readonly<Record<string, readonly FieldDefinition[]>>): LeadFields {
  const rules = Object.entries(sources).map(([source, fields]) =>
    compileFieldRules({ source, undefinedAttributes: 'keep', fields }),
  )
  return { all: () => rules, of: (wanted) => rules.find(({ source }) => source === wanted) }
}

const fields = fieldsOf({
  web: [
    { name: 'budget', type: 'integer' },
    { name: 'rate', type: 'number' },
    { name: 'note', type: 'string' },
    { name: 'plan', type: 'enum', values: ['free', 'pro'] },
    { name: 'start', type: 'date' },
    { name: 'news', type: 'boolean' },
    { name: 'size', type: 'integer' },
  ],
  shop: [
    { name: 'size', type: 'string' },
    { name: 'plan', type: 'enum', values: ['gold'] },
  ],
})

function read(query: Record<string, unknown>, source?: string) {
  const faults: Fault[] = []
  const conditions = readAttributeConditions(query, { fields, source, faults })
  return { conditions, faults: faults.map(({ pointer, detail }) => `${pointer} ${detail}`) }
}

describe('conditions on attributes', () => {
  it.each<[string, string, object]>([
    ['budget', 'gte:1000', { operator: 'gte', type: 'number', values: [1_000] }],
    ['budget', 'in:1,-2', { operator: 'in', type: 'number', values: [1, -2] }],
    ['rate', 'lt:1.5e3', { operator: 'lt', type: 'number', values: [1_500] }],
    ['note', 'eq:', { operator: 'eq', type: 'text', values: [''] }],
    ['note', 'prefix:a:b,c', { operator: 'prefix', type: 'text', values: ['a:b,c'] }],
    ['plan', 'in:free,gold', { operator: 'in', type: 'text', values: ['free', 'gold'] }],
    ['start', 'lte:2024-02-29', { operator: 'lte', type: 'text', values: ['2024-02-29'] }],
    ['news', 'ne:true', { operator: 'ne', type: 'boolean', values: [true] }],
  ])('of %s are read from %s', (name, text, condition) => {
    expect(read({ limit: 5, [`attributes.${name}`]: text })).toEqual({
      conditions: [{ attribute: name, ...condition }],
      faults: [],
    })
  })

  it.each<[string, string, string]>([
    ['budget', '1000', 'must be one of eq:…, ne:…, in:…, gt:…, gte:…, lt:…, lte:…, as "budget" is of type integer'],
    ['budget', 'prefix:1', 'must be one of eq:…, ne:…, in:…, gt:…, gte:…, lt:…, lte:…, as "budget" is of type integer'],
    ['budget', 'eq:1.5', 'must ask for an integer'],
    ['budget', 'eq:0x10', 'must ask for an integer'],
    ['budget', 'in:1,', 'must ask for an integer'],
    ['budget', 'eq:9007199254740992', 'must ask for an integer'],
    ['rate', 'gt:1e999', 'must ask for a number'],
    ['rate', 'gt:', 'must ask for a number'],
    ['note', 'gt:a', 'must be one of eq:…, ne:…, in:…, prefix:…, as "note" is of type string'],
    ['plan', 'eq:Pro', 'must ask for values that are defined for the field'],
    ['start', 'eq:2023-02-29', 'must ask for a day as YYYY-MM-DD'],
    ['news', 'eq:1', 'must ask for true or false'],
    ['news', 'in:true,false', 'must be one of eq:…, ne:…, as "news" is of type boolean'],
    ['colour', 'eq:red', 'is not a defined field of any source'],
    ['size', 'eq:4', 'has several types, depending on the source: name one with "source"'],
    ['x" OR 1=1', 'eq:4', 'is not a defined field of any source'],
    ['note', `eq:${'x'.repeat(600)}`, 'must have at most 512 characters'],
    ['note', `in:${'a,'.repeat(60)}`, 'must name at most 50 values'],
  ])('of %s are not read from %s', (name, text, detail) => {
    expect(read({ [`attributes.${name}`]: text })).toEqual({
      conditions: [],
      faults: [`/attributes.${name} ${detail}`],
    })
  })

  it('go by the definitions of the source that is asked for', () => {
    expect(read({ 'attributes.size': 'eq:XL' }, 'shop').conditions).toMatchObject([{ type: 'text', values: ['XL'] }])
    expect(read({ 'attributes.size': 'eq:4' }, 'web').conditions).toMatchObject([{ type: 'number', values: [4] }])
    expect(read({ 'attributes.plan': 'eq:pro' }, 'shop').faults).toHaveLength(1)
    expect(read({ 'attributes.note': 'eq:a' }, 'shop').faults).toEqual([
      '/attributes.note is not a defined field of this source',
    ])
    expect(read({ 'attributes.note': 'eq:a' }, 'nobody').faults).toHaveLength(1)
  })

  it('may come several times, up to a bound, and all faults are named', () => {
    const range = read({ 'attributes.budget': ['gte:1', 'lt:5'] })
    expect(range.conditions.map(({ operator }) => operator)).toEqual(['gte', 'lt'])
    const nine = read({ 'attributes.budget': Array.from({ length: 9 }, (_, i) => `ne:${i}`) })
    expect(nine.faults).toEqual(['/attributes.budget is one too many: a query takes 8 of these'])
    expect(read({ 'attributes.budget': 'x', 'attributes.plan': 'y' }).faults).toHaveLength(2)
  })
})
