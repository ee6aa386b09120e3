import { describe, expect, it } from 'vitest'
import { avroSchema, schemaNames } from './avro-schemas.ts'
import { requireBounded } from './bounded-schema.ts'

const record = (name: string, type: unknown) => ({ type: 'record', name, fields: [{ name: 'field', type }] })
const arrayOf = (items: unknown) => ({ type: 'array', items })

describe('requireBounded', () => {
  it.each(schemaNames)('takes the schema "%s"', (name) => {
    expect(() => requireBounded(avroSchema(name))).not.toThrow()
  })

  it.each([
    ['arrays of texts', arrayOf('string')],
    ['arrays of optional texts', arrayOf(['null', 'string'])],
    ['arrays of arrays', arrayOf(arrayOf('int'))],
    ['maps without values: their keys take bytes', { type: 'map', values: 'null' }],
    ['arrays of records of which one field takes bytes', arrayOf(record('R', 'long'))],
  ])('takes %s', (_what, type) => {
    expect(() => requireBounded(record('Root', type))).not.toThrow()
  })

  it.each([
    ['null', arrayOf('null')],
    ['null, in the words of an object', arrayOf({ type: 'null' })],
    ['empty records', arrayOf({ type: 'record', name: 'Empty', fields: [] })],
    ['records of nothing but null', arrayOf(record('Null', 'null'))],
    ['fixed bytes, of which there are none', arrayOf({ type: 'fixed', name: 'None', size: 0 })],
    ['null, deep inside', ['null', { type: 'map', values: record('Inner', arrayOf('null')) }]],
  ])('refuses arrays of %s', (_what, type) => {
    expect(() => requireBounded(record('Root', type))).toThrow('items without bytes')
  })

  it('knows types that were named before, within a namespace, too', () => {
    const empty = { type: 'record', name: 'Empty', namespace: 'x', fields: [] }
    const fields = [
      { name: 'one', type: empty },
      { name: 'many', type: arrayOf('x.Empty') },
    ]
    expect(() => requireBounded({ type: 'record', name: 'Root', fields })).toThrow('items without bytes')
  })
})
