import { readdirSync, readFileSync } from 'node:fs'
import avsc from 'avsc'
import { describe, expect, it } from 'vitest'
import { avroSchema, schemaNames } from './avro-schemas.ts'

const released = new URL('../released/', import.meta.url)
const versions = readdirSync(released)

describe.each(versions)('against release %s', (version) => {
  const files = readdirSync(new URL(`${version}/`, released))

  it('no schema has disappeared', () => {
    expect(schemaNames.map((name) => `${name}.avsc`)).toEqual(expect.arrayContaining(files))
  })

  it.each(schemaNames.filter((name) => files.includes(`${name}.avsc`)))('%s reads what the release wrote', (name) => {
    const writer = avsc.Type.forSchema(
      JSON.parse(readFileSync(new URL(`${version}/${name}.avsc`, released), 'utf8')) as avsc.Schema,
    )
    expect(() => avsc.Type.forSchema(avroSchema(name) as avsc.Schema).createResolver(writer)).not.toThrow()
  })
})

describe('the compatibility check', () => {
  it('fails for a field that was added without a default', () => {
    const schema = avroSchema('event')
    const next = { ...schema, fields: [...schema.fields, { name: 'country', type: 'string' }] }
    expect(() =>
      avsc.Type.forSchema(next as avsc.Schema).createResolver(avsc.Type.forSchema(schema as avsc.Schema)),
    ).toThrow()
  })
})
