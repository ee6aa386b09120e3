import { type AvroBytes, invalidAvro } from '../avro/avro-bytes.ts'
import { type AvroNames, type AvroSkip, isObject, namespaceOf, skipOf } from '../avro/avro-skip.ts'
import { readStrictJson } from '../json/strict-json.ts'
import { avroSchemaCharsMax } from '../limits.ts'

/** The fields that are read; any other field of the writer is passed over. */
export const eventFieldNames = ['event_id', 'user_id', 'event_type', 'timestamp', 'value', 'metadata'] as const
export type EventFieldName = (typeof eventFieldNames)[number]

/** How a field's value is written. */
export type EventFieldShape = 'text' | 'long' | 'float' | 'double'

/** One field of the writer's record, in the writer's order. */
export type EventFieldStep =
  | { readonly name: undefined; readonly skip: AvroSkip }
  | {
      readonly name: EventFieldName
      readonly shape: EventFieldShape
      /** Which branch of the field's union is null, and which the value; −1 each when the field is no union. */
      readonly nullBranch: number
      readonly valueBranch: number
    }

/** How the records of a writer are read. */
export interface AvroEventPlan {
  readonly steps: readonly EventFieldStep[]
  /** Whether times are milliseconds by the schema, and not by their size. */
  readonly timesAreMillis: boolean
}

const shapes: Readonly<Record<EventFieldName, readonly string[]>> = {
  event_id: ['string', 'bytes'],
  user_id: ['string', 'bytes'],
  event_type: ['string', 'bytes'],
  timestamp: ['int', 'long'],
  value: ['int', 'long', 'float', 'double'],
  metadata: ['string', 'bytes'],
}

const requiredNames = ['user_id', 'event_type', 'timestamp', 'metadata'] as const

/**
 * Resolves a writer's schema to what an event is, by the rules of Avro's specification ("Schema Resolution"): fields go by name, in the
 * writer's order; ints and longs may be read as floats, bytes as text; what is not of an event is passed over. A field may be a union with
 * null: a required one that is null is a fault of that event. The record's own name does not matter: producers name it as they like.
 * Throws `INVALID_AVRO` with what does not fit.
 */
export function planOf(schemaText: string): AvroEventPlan {
  if (schemaText.length > avroSchemaCharsMax)
    throw invalidAvro(`The schema has more than ${avroSchemaCharsMax} characters.`)
  const schema = parse(schemaText)
  if (!isObject(schema) || schema.type !== 'record' || !Array.isArray(schema.fields)) {
    throw invalidAvro('The schema must be a record: an event.')
  }
  const names: AvroNames = new Map()
  const namespace = namespaceOf(schema, '')
  // Defines the names, and finds out what is no schema at all.
  skipOf(schema, names, '')
  const found = new Set<string>()
  let timesAreMillis = false
  const steps = schema.fields.map((field: unknown): EventFieldStep => {
    const { name, type } = isObject(field) ? field : {}
    const known = eventFieldNames.find((candidate) => candidate === name)
    if (known === undefined || found.has(known)) return { name: undefined, skip: skipOf(type, names, namespace) }
    found.add(known)
    if (known === 'timestamp') timesAreMillis = isMillis(type)
    return stepOf(known, type)
  })
  const missing = requiredNames.filter((name) => !found.has(name))
  if (missing.length > 0) throw invalidAvro(`The schema lacks ${missing.join(', ')}.`)
  return { steps, timesAreMillis }
}

/** The branch of a union, by its index; 0 for what is no union. Throws `INVALID_AVRO` when the union has no such branch. */
export function isNull(
  bytes: AvroBytes,
  { nullBranch, valueBranch }: { nullBranch: number; valueBranch: number },
): boolean {
  if (valueBranch < 0) return false
  const branch = bytes.long()
  if (branch === valueBranch) return false
  if (branch === nullBranch) return true
  throw invalidAvro('A value is of no branch of its union.')
}

function parse(text: string): unknown {
  try {
    const { value, faults } = readStrictJson(Buffer.from(text))
    const [fault] = faults
    if (fault !== undefined) throw invalidAvro(`The schema's ${fault.pointer} ${fault.detail}.`)
    return value
  } catch (cause) {
    throw invalidAvro('The schema is not JSON, or nested too deep.', cause)
  }
}

function stepOf(name: EventFieldName, type: unknown): EventFieldStep {
  const branches: readonly unknown[] = Array.isArray(type) ? type : [type]
  const others = branches.filter((branch) => primitiveOf(branch) !== 'null')
  const primitive = primitiveOf(others[0])
  if (others.length !== 1 || primitive === undefined || !shapes[name].includes(primitive)) {
    throw invalidAvro(
      `The schema's field "${name}" must be one of ${shapes[name].join(', ')}, or a union of it with null.`,
    )
  }
  const isUnion = Array.isArray(type)
  return {
    name,
    shape: shapeOf(primitive),
    nullBranch: isUnion ? branches.findIndex((branch) => primitiveOf(branch) === 'null') : -1,
    valueBranch: isUnion ? branches.findIndex((branch) => primitiveOf(branch) !== 'null') : -1,
  }
}

function shapeOf(primitive: string): EventFieldShape {
  if (primitive === 'float' || primitive === 'double') return primitive
  return primitive === 'int' || primitive === 'long' ? 'long' : 'text'
}

/** A primitive type's name, also of one with a logical type or other attributes. */
function primitiveOf(type: unknown): string | undefined {
  if (typeof type === 'string') return type
  return isObject(type) && typeof type.type === 'string' ? type.type : undefined
}

/** A time without a logical type, or with one in milliseconds. Any other unit would be misread by a factor of a thousand. */
function isMillis(type: unknown): boolean {
  const branches: readonly unknown[] = Array.isArray(type) ? type : [type]
  for (const branch of branches) {
    const logical = isObject(branch) ? branch.logicalType : undefined
    if (logical === 'timestamp-millis') return true
    if (logical !== undefined) {
      throw invalidAvro('The schema\'s field "timestamp" must be of the logical type timestamp-millis, or of none.')
    }
  }
  return false
}
