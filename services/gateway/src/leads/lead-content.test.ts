import fc from 'fast-check'
import { expect, it } from 'vitest'
import { canonicalJson } from '../json/canonical-json.ts'
import { leadContent } from './lead-content.ts'
import { LeadInput } from './lead-schema.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const optional = fc.oneof(text, fc.constant(null), fc.constant(undefined))
// Keys that an object puts into an order of its own, or inherits.
const key = fc.oneof(text, fc.constantFrom('10', '9', '-1', 'constructor', '__proto__', 'a', 'B', '\u20ac', '\ud83c'))
const attributes = fc.array(fc.tuple(key, fc.json({ maxDepth: 2 })), { maxLength: 5 }).map((members) => {
  const json = members.map(([name, value]) => `${JSON.stringify(name)}:${value}`)
  return JSON.parse(`{${json.join(',')}}`)
})
const lead = fc.record({
  first_name: text,
  last_name: text,
  email: text,
  phone: optional,
  date_of_birth: optional,
  address: optional,
  city: optional,
  postal_code: optional,
  country: optional,
  source: optional,
  campaign: optional,
  consent: fc.oneof(fc.boolean(), fc.constant(null), fc.constant(undefined)),
  attributes: fc.option(attributes, { nil: undefined }),
} satisfies Record<keyof LeadInput, unknown>)

/** As a request has it: what is undefined is not there, and the members come in any order. */
const sent = lead.chain((value) => {
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return fc
    .shuffledSubarray(members, { minLength: members.length })
    .map((shuffled) => JSON.parse(JSON.stringify(Object.fromEntries(shuffled))))
})

it('is the canonical text of the lead, however it was sent', () => {
  fc.assert(
    fc.property(sent, (value) => {
      expect(leadContent(value)).toBe(canonicalJson(value))
    }),
  )
})

it('holds every field', () => {
  const full = Object.fromEntries(Object.keys(LeadInput.properties).map((name) => [name, name]))
  const lead = { first_name: 'x', last_name: 'x', email: 'x', ...full, attributes: { z: 1, a: null } }
  expect(leadContent({ ...lead, consent: true })).toBe(canonicalJson({ ...lead, consent: true }))
})
