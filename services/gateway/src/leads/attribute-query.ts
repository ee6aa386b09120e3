import {
  type LeadCondition,
  type LeadOperator,
  leadConditionsMax,
  leadConditionValuesMax,
  leadOperators,
} from '@millrace/storage/mysql'
import type { Fault } from '../errors.ts'
import { queryCharsMax } from '../limits.ts'
import { isDay } from './calendar-day.ts'
import type { FieldDefinition, FieldType } from './field-definition.ts'
import type { LeadFields } from './live-fields.ts'

/** For the API document. */
export const attributeQueryDescription = `\`attributes.<name>=<operator>:<value>\` asks for leads by a defined field, for instance \`attributes.budget=gte:1000\`. Operators: \`eq\`, \`ne\`, \`in\` (values separated by commas) and, by type, \`prefix\` (string), \`gt\`, \`gte\`, \`lt\`, \`lte\` (integer, number, date). At most ${leadConditionsMax} of them; all must hold.`

/** Names of such parameters, for the schema of a query. */
export const attributeParameterPattern = '^attributes\\.'
const parameterPrefix = 'attributes.'

const equality = ['eq', 'ne', 'in'] as const
const order = ['gt', 'gte', 'lt', 'lte'] as const
const operatorsOf: Readonly<Record<FieldType, readonly LeadOperator[]>> = {
  string: [...equality, 'prefix'],
  enum: equality,
  integer: [...equality, ...order],
  number: [...equality, ...order],
  date: [...equality, ...order],
  boolean: ['eq', 'ne'],
}

/** The value of one parameter, as it is to be read. */
interface Asked {
  readonly field: FieldDefinition
  readonly operator: LeadOperator
  readonly texts: readonly string[]
}

/**
 * The conditions on attributes that a query asks for; `faults` gets what is wrong with them. Only fields that are defined can be asked for: of the source that the query names, or of
 * any, when all sources that have the field agree about its type. Throws `NOT_READY` when there is such a parameter and no definitions are known yet.
 */
export function readAttributeConditions(
  query: object,
  {
    fields,
    source,
    faults,
  }: { readonly fields: LeadFields; readonly source: string | undefined; readonly faults: Fault[] },
): LeadCondition[] {
  const asked = Object.entries<unknown>({ ...query }).filter(([name]) => name.startsWith(parameterPrefix))
  const conditions: LeadCondition[] = []
  for (const [parameter, given] of asked) {
    const fail = (detail: string) => void faults.push({ in: 'query', pointer: `/${parameter}`, detail })
    const field = fieldOf(parameter.slice(parameterPrefix.length), { fields, source, fail })
    if (field === undefined) continue
    for (const text of [given].flat()) {
      const one = readAsked(text, field, fail)
      const condition = one === undefined ? undefined : toCondition(one, fail)
      if (condition !== undefined) conditions.push(condition)
    }
  }
  const tooMany = conditions[leadConditionsMax]
  if (tooMany !== undefined) {
    const pointer = `/${parameterPrefix}${tooMany.attribute}`
    faults.push({ in: 'query', pointer, detail: `is one too many: a query takes ${leadConditionsMax} of these` })
  }
  return conditions
}

type Fail = (detail: string) => void

/** The field of that name, as all of its sources define it. */
function fieldOf(
  name: string,
  { fields, source, fail }: { readonly fields: LeadFields; readonly source: string | undefined; readonly fail: Fail },
): FieldDefinition | undefined {
  const rules = source === undefined ? fields.all() : [fields.of(source)]
  const found = rules.flatMap((one) => one?.fields.filter((field) => field.name === name) ?? [])
  const [first] = found
  if (first === undefined) {
    fail(source === undefined ? 'is not a defined field of any source' : 'is not a defined field of this source')
    return undefined
  }
  if (found.some(({ type }) => type !== first.type)) {
    fail('has several types, depending on the source: name one with "source"')
    return undefined
  }
  return first.type === 'enum' ? { ...first, values: found.flatMap(({ values = [] }) => values) } : first
}

function readAsked(given: unknown, field: FieldDefinition, fail: Fail): Asked | undefined {
  if (typeof given !== 'string' || given.length > queryCharsMax) {
    fail(`must have at most ${queryCharsMax} characters`)
    return undefined
  }
  const colon = given.indexOf(':')
  const operator = leadOperators.find((name) => name === given.slice(0, Math.max(colon, 0)))
  const allowed = operatorsOf[field.type]
  if (operator === undefined || !allowed.includes(operator)) {
    const form = allowed.map((name) => `${name}:…`).join(', ')
    fail(`must be one of ${form}, as "${field.name}" is of type ${field.type}`)
    return undefined
  }
  const rest = given.slice(colon + 1)
  const texts = operator === 'in' ? rest.split(',') : [rest]
  if (texts.length > leadConditionValuesMax) {
    fail(`must name at most ${leadConditionValuesMax} values`)
    return undefined
  }
  return { field, operator, texts }
}

/** A JSON number: what `Number` takes besides, as "0x10" or "", was not meant to be one. */
const numberPattern = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

function toCondition({ field, operator, texts }: Asked, fail: Fail): LeadCondition | undefined {
  const base = { attribute: field.name, operator }
  const known = new Set(field.values)
  const isOfType: Readonly<Record<FieldType, (text: string) => boolean>> = {
    string: () => true,
    enum: (text) => known.has(text),
    date: isDay,
    boolean: (text) => text === 'true' || text === 'false',
    integer: (text) => numberPattern.test(text) && Number.isSafeInteger(Number(text)),
    number: (text) => numberPattern.test(text) && Number.isFinite(Number(text)),
  }
  if (!texts.every(isOfType[field.type])) {
    fail(`must ask for ${whatOf[field.type]}`)
    return undefined
  }
  switch (field.type) {
    case 'integer':
    case 'number':
      return { ...base, type: 'number', values: texts.map(Number) }
    case 'boolean':
      return { ...base, type: 'boolean', values: texts.map((text) => text === 'true') }
    default:
      return { ...base, type: 'text', values: texts }
  }
}

const whatOf: Readonly<Record<FieldType, string>> = {
  string: 'a text',
  enum: 'values that are defined for the field',
  date: 'a day as YYYY-MM-DD',
  boolean: 'true or false',
  integer: 'an integer',
  number: 'a number',
}
