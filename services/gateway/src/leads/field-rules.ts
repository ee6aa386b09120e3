import type { UndefinedAttributes } from '@millrace/storage/mysql'
import type { Fault } from '../errors.ts'
import { pointerStep } from '../json/json-pointer.ts'
import { compilePattern } from '../pattern/text-pattern.ts'
import { isDay } from './calendar-day.ts'
import type { FieldDefinition } from './field-definition.ts'

/** What leads of one source must carry, ready to be checked. */
export interface FieldRules {
  /** Null: of leads that name none. */
  readonly source: string | null
  readonly fields: readonly FieldDefinition[]
  /** Adds every fault of a lead's attributes; `root` is their pointer. Undefined attributes are empty ones. */
  check(
    attributes: Readonly<Record<string, unknown>> | undefined,
    at: { readonly root: string; readonly faults: Fault[] },
  ): void
}

/** Longer lists help nobody who reads the sentence. */
const namedValuesMax = 20

/** A sentence about a value that is not as it must be. */
type ValueCheck = (value: unknown) => string | undefined

/** Compiles the definitions of a source. They must be without faults: a pattern that cannot be compiled throws. */
export function compileFieldRules(definitions: {
  readonly source: string | null
  readonly undefinedAttributes: UndefinedAttributes
  readonly fields: readonly FieldDefinition[]
}): FieldRules {
  const { source, undefinedAttributes, fields } = definitions
  const checks = fields.map((field) => {
    return {
      name: field.name,
      pointer: pointerStep(field.name),
      required: field.required === true,
      check: valueCheck(field),
    }
  })
  const known = new Set(fields.map(({ name }) => name))
  const unknown =
    source === null ? 'is not defined for leads without a source' : 'is not defined for the source of this lead'

  return {
    source,
    fields,
    check(attributes = {}, { root, faults }) {
      for (const { name, pointer, required, check } of checks) {
        // Names of what every object inherits may be names of fields.
        const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined
        const detail = value === undefined || value === null ? (required ? 'is required' : undefined) : check(value)
        if (detail !== undefined) faults.push({ in: 'body', pointer: root + pointer, detail })
      }
      if (undefinedAttributes === 'keep') return
      for (const name of Object.keys(attributes)) {
        if (!known.has(name)) faults.push({ in: 'body', pointer: root + pointerStep(name), detail: unknown })
      }
    },
  }
}

function valueCheck(field: FieldDefinition): ValueCheck {
  switch (field.type) {
    case 'string':
      return textCheck(field)
    case 'integer':
      return within(field, 'must be an integer', Number.isSafeInteger)
    case 'number':
      return within(field, 'must be a number', (value) => typeof value === 'number')
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? undefined : 'must be true or false')
    case 'date':
      return within(field, 'must be a day as YYYY-MM-DD', (value) => typeof value === 'string' && isDay(value))
    case 'enum':
      return enumCheck(field)
  }
}

function textCheck({
  min_length: least = 0,
  max_length: most = Number.POSITIVE_INFINITY,
  pattern,
}: FieldDefinition): ValueCheck {
  const compiled = pattern === undefined ? undefined : compilePattern(pattern)
  return (value) => {
    if (typeof value !== 'string') return 'must be a string'
    // No text has more characters than UTF-16 units, or less than half as many.
    if (value.length < least || (value.length < 2 * least && countCharacters(value) < least)) {
      return `must have at least ${least} characters`
    }
    if (value.length > most && (value.length > 2 * most || countCharacters(value) > most)) {
      return `must have at most ${most} characters`
    }
    return compiled === undefined || compiled.matches(value) ? undefined : `must match ${pattern}`
  }
}

function within({ min, max }: FieldDefinition, rule: string, isOfType: (value: unknown) => boolean): ValueCheck {
  return (value) => {
    if (!isOfType(value) || (typeof value !== 'number' && typeof value !== 'string')) return rule
    if (min !== undefined && value < min) return `must be ${min} or more`
    return max !== undefined && value > max ? `must be ${max} or less` : undefined
  }
}

function enumCheck({ values = [] }: FieldDefinition): ValueCheck {
  const known: ReadonlySet<unknown> = new Set(values)
  const rule =
    values.length <= namedValuesMax
      ? `must be one of ${values.join(', ')}`
      : `must be one of the ${values.length} values that are defined for it`
  return (value) => (known.has(value) ? undefined : rule)
}

function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}
