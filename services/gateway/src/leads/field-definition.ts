import { undefinedAttributes } from '@millrace/storage/mysql'
import { type Static, Type } from 'typebox'
import type { Fault } from '../errors.ts'
import {
  leadAttributesBytesMax,
  leadFieldPatternsMax,
  leadFieldsMax,
  leadFieldTextCharsMax,
  leadFieldValueCharsMax,
  leadFieldValuesMax,
  leadTextCharsMax,
  patternCharsMax,
} from '../limits.ts'
import { PatternError } from '../pattern/pattern-error.ts'
import { compilePattern } from '../pattern/text-pattern.ts'
import { isDay } from './calendar-day.ts'

/** What the value of a field may be. A date is a text of the form YYYY-MM-DD. */
export const fieldTypes = ['string', 'integer', 'number', 'boolean', 'date', 'enum'] as const
export type FieldType = (typeof fieldTypes)[number]

const bound = Type.Optional(
  Type.Unsafe<number | string>({
    type: ['number', 'string'],
    description: 'Of integer and number: a number. Of date: a day as YYYY-MM-DD. Inclusive.',
  }),
)
const length = Type.Optional(
  Type.Integer({ minimum: 0, maximum: leadAttributesBytesMax, description: 'Of string, in characters.' }),
)

/** The definition of one field of a lead: of one member of `attributes`. Which members go with which type is in `definitionFaults`. */
export const FieldDefinition = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z][A-Za-z0-9_-]{0,63}$',
      'x-rule': 'must be a letter and then up to 63 letters, digits, "_" and "-"',
    }),
    type: Type.Enum([...fieldTypes]),
    required: Type.Optional(
      Type.Boolean({ default: false, description: 'A field that is not may be left out, or null.' }),
    ),
    description: Type.Optional(Type.String({ maxLength: leadFieldTextCharsMax, description: 'For people.' })),
    min: bound,
    max: bound,
    min_length: length,
    max_length: length,
    pattern: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: patternCharsMax,
        description:
          'Of string: what the whole text must match, as a regular expression without look-around, back references and \\b.',
      }),
    ),
    values: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: leadFieldValueCharsMax }), {
        minItems: 1,
        maxItems: leadFieldValuesMax,
        description: 'Of enum: the texts that it may be.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type FieldDefinition = Static<typeof FieldDefinition>

const policy = Type.Enum([...undefinedAttributes], {
  default: 'keep',
  description: 'What happens to attributes that are not defined: they are kept as they are, or the lead is refused.',
})
const fields = Type.Array(FieldDefinition, { maxItems: leadFieldsMax })

const example = {
  undefined_attributes: 'refuse',
  fields: [
    { name: 'budget', type: 'integer', required: true, min: 0 },
    { name: 'plan', type: 'enum', values: ['free', 'pro'] },
    { name: 'vat_id', type: 'string', pattern: '[A-Z]{2}[0-9A-Z]{2,13}' },
  ],
}

/** What can be changed of the definitions of a source. */
export const LeadFieldsChange = Type.Object(
  { undefined_attributes: Type.Optional(policy), fields },
  { additionalProperties: false, title: 'LeadFieldsChange', examples: [example] },
)
export type LeadFieldsChange = Static<typeof LeadFieldsChange>

/** Definitions of a source that has none yet. */
export const LeadFieldsInput = Type.Object(
  {
    source: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      minLength: 1,
      maxLength: leadTextCharsMax,
      pattern:
        '^[^\\s\\u0000-\\u001f\\u007f-\\u009f](?:[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f])?$',
      'x-rule': 'must not hold control characters, nor begin or end with a space',
      description: 'Of which leads: those whose `source` is exactly this; null stands for leads that name none.',
    }),
    ...LeadFieldsChange.properties,
  },
  { additionalProperties: false, title: 'LeadFieldsInput', examples: [{ source: 'web', ...example }] },
)
export type LeadFieldsInput = Static<typeof LeadFieldsInput>

/** The members that say more about a field, by the types that have them. */
const membersOf: Readonly<Record<FieldType, readonly (keyof FieldDefinition)[]>> = {
  string: ['min_length', 'max_length', 'pattern'],
  integer: ['min', 'max'],
  number: ['min', 'max'],
  boolean: [],
  date: ['min', 'max'],
  enum: ['values'],
}
const members = ['min', 'max', 'min_length', 'max_length', 'pattern', 'values'] as const

/** Everything that is wrong with definitions that have the form of their schema; `root` is the pointer of the array. */
export function definitionFaults(fields: readonly FieldDefinition[], root: string): Fault[] {
  const found: Fault[] = []
  const names = new Set<string>()
  let patterns = 0
  for (const [index, field] of fields.entries()) {
    const add = (member: keyof FieldDefinition, detail: string) =>
      found.push({ in: 'body', pointer: `${root}/${index}/${member}`, detail })
    if (names.has(field.name)) add('name', 'is the name of another field of this source')
    names.add(field.name)
    for (const member of members) {
      if (field[member] !== undefined && !membersOf[field.type].includes(member))
        add(member, `is not for fields of type ${field.type}`)
    }
    if (field.type === 'string') {
      const { min_length: least = 0, max_length: most = leadAttributesBytesMax, pattern } = field
      if (least > most) add('min_length', 'must not be greater than "max_length"')
      if (pattern !== undefined && ++patterns > leadFieldPatternsMax) {
        add('pattern', `is one too many: a source may have ${leadFieldPatternsMax}`)
      } else if (pattern !== undefined) addPatternFault(pattern, add)
    }
    if (membersOf[field.type].includes('min')) addBoundFaults(field, add)
    if (field.type === 'enum' && field.values === undefined) add('values', 'is required for fields of type enum')
    if (field.values !== undefined && new Set(field.values).size < field.values.length) {
      add('values', 'must not name a value twice')
    }
  }
  return found
}

type Add = (member: keyof FieldDefinition, detail: string) => void

function addPatternFault(pattern: string, add: Add): void {
  try {
    compilePattern(pattern)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    add('pattern', error.message)
  }
}

function addBoundFaults({ type, min, max }: FieldDefinition, add: Add): void {
  const isSound = (bound: number | string) => {
    if (type === 'date') return typeof bound === 'string' && isDay(bound)
    return typeof bound === 'number' && (type === 'number' || Number.isSafeInteger(bound))
  }
  const rule = { date: 'must be a day as YYYY-MM-DD', integer: 'must be an integer', number: 'must be a number' }
  const detail = type === 'date' || type === 'integer' ? rule[type] : rule.number
  if (min !== undefined && !isSound(min)) add('min', detail)
  if (max !== undefined && !isSound(max)) add('max', detail)
  // Days of this form have the order of their texts.
  if (min !== undefined && max !== undefined && typeof min === typeof max && min > max) {
    add('min', 'must not be greater than "max"')
  }
}
