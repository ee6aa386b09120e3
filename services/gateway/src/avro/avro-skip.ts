import { avroDepthMax } from '../limits.ts'
import { type AvroBytes, invalidAvro } from './avro-bytes.ts'

/** Passes over one value. */
export type AvroSkip = (bytes: AvroBytes, depth: number) => void

/** Named types of a schema: a schema may refer to them, also from within themselves. */
export type AvroNames = Map<string, AvroSkip>

const primitives: Readonly<Record<string, AvroSkip>> = {
  null: () => {},
  boolean: (bytes) => void bytes.take(1),
  int: (bytes) => void bytes.long(),
  long: (bytes) => void bytes.long(),
  float: (bytes) => void bytes.take(4),
  double: (bytes) => void bytes.take(8),
  bytes: (bytes) => void bytes.take(bytes.length()),
  string: (bytes) => void bytes.take(bytes.length()),
}

/**
 * What passes over the values of a schema: Avro's resolution ignores fields that the reader does not have, but their bytes say where the next
 * field begins. Throws `INVALID_AVRO` for what is no schema.
 */
export function skipOf(schema: unknown, names: AvroNames, namespace: string): AvroSkip {
  if (typeof schema === 'string') return named(schema, names, namespace)
  if (Array.isArray(schema)) return union(schema.map((branch) => skipOf(branch, names, namespace)))
  if (!isObject(schema)) throw invalidAvro('The schema holds something that is no type.')
  const { type } = schema
  switch (type) {
    case 'record':
    case 'error':
      return record(schema, names, namespace)
    case 'enum':
      return define(schema, { names, namespace }, (bytes) => void bytes.long())
    case 'fixed': {
      const { size } = schema
      if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
        throw invalidAvro('A fixed type has no size.')
      return define(schema, { names, namespace }, (bytes) => void bytes.take(size))
    }
    case 'array':
      return blocks(skipOf(schema.items, names, namespace))
    case 'map': {
      const value = skipOf(schema.values, names, namespace)
      return blocks((bytes, depth) => {
        bytes.take(bytes.length())
        value(bytes, depth)
      })
    }
    default:
      return skipOf(type, names, namespace)
  }
}

/** An object of a schema. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The namespace that holds within a named type. */
export function namespaceOf(schema: Readonly<Record<string, unknown>>, outer: string): string {
  const name = String(schema.name)
  if (name.includes('.')) return name.slice(0, name.lastIndexOf('.'))
  return typeof schema.namespace === 'string' ? schema.namespace : outer
}

function named(name: string, names: AvroNames, namespace: string): AvroSkip {
  if (Object.hasOwn(primitives, name)) {
    const skip = primitives[name]
    if (skip !== undefined) return skip
  }
  const skip = names.get(fullName(name, namespace)) ?? names.get(name)
  if (skip === undefined)
    throw invalidAvro(`The schema refers to a type "${name.slice(0, 100)}" that it does not define.`)
  return skip
}

function define(
  schema: Readonly<Record<string, unknown>>,
  { names, namespace }: { readonly names: AvroNames; readonly namespace: string },
  skip: AvroSkip,
): AvroSkip {
  const name = String(schema.name)
  names.set(fullName(name, namespaceOf(schema, namespace)), skip)
  return skip
}

function record(schema: Readonly<Record<string, unknown>>, names: AvroNames, namespace: string): AvroSkip {
  const fields: AvroSkip[] = []
  const skip: AvroSkip = (bytes, depth) => {
    if (depth >= avroDepthMax) throw invalidAvro(`A value is nested deeper than ${avroDepthMax} levels.`)
    bytes.claim(fields.length)
    for (const field of fields) field(bytes, depth + 1)
  }
  // Before its fields, for one of them may be of this very type.
  define(schema, { names, namespace }, skip)
  const inner = namespaceOf(schema, namespace)
  if (!Array.isArray(schema.fields)) throw invalidAvro('A record of the schema has no fields.')
  for (const field of schema.fields) {
    if (!isObject(field)) throw invalidAvro('A record of the schema has a field that is none.')
    fields.push(skipOf(field.type, names, inner))
  }
  return skip
}

function union(branches: readonly AvroSkip[]): AvroSkip {
  return (bytes, depth) => {
    const branch = branches[bytes.long()]
    if (branch === undefined) throw invalidAvro('A value is of no branch of its union.')
    branch(bytes, depth)
  }
}

function blocks(item: AvroSkip): AvroSkip {
  return (bytes, depth) => {
    if (depth >= avroDepthMax) throw invalidAvro(`A value is nested deeper than ${avroDepthMax} levels.`)
    for (let count = bytes.long(); count !== 0; count = bytes.long()) {
      if (count < 0) {
        bytes.take(bytes.length())
        continue
      }
      bytes.claim(count)
      for (let left = count; left > 0; left--) item(bytes, depth + 1)
    }
  }
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}
