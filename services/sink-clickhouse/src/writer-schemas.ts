import {
  type AvroField,
  avroSchema,
  type RecordCodec,
  type Registry,
  SchemaError,
  type TopicName,
} from '@millrace/schemas'
import { placeFields, withPlace } from './avro-container.ts'
import { type AvroWalk, compileWalk } from './avro-walk.ts'
import type { Poison } from './errors.ts'
import { schemasMax, unknownSchemaTtlMs } from './limits.ts'

/** A schema that records were written with, ready for re-framing. */
export interface WriterSchema {
  readonly schemaId: number
  /** The names of its fields, with the two that are added for a record's place. */
  readonly fieldNames: readonly string[]
  /** The container's schema. */
  readonly containerSchema: string
  readonly walk: AvroWalk
}

/** Schemas of one topic's records by id: each is fetched from the registry once. */
export interface WriterSchemas {
  /**
   * The schema of `schemaId`, or why its records cannot be stored: the registry does not know it, it is not one that this topic's schema can read, or it has more
   * fields and is no version of the topic's. Throws the registry's retryable error when it is away.
   */
  resolve(schemaId: number): Promise<WriterSchema | Poison>
}

/** Makes the cache. `codec` is the topic's own: a writer's schema must be one that it can read. */
export function createWriterSchemas(options: {
  readonly registry: Pick<Registry, 'schemaById' | 'isVersionOf'>
  readonly topic: TopicName
  readonly codec: Pick<RecordCodec<unknown>, 'learn' | 'schemaName'>
  readonly nowMs: () => number
}): WriterSchemas {
  const { registry, topic, codec, nowMs } = options
  const known = new Map<number, { readonly found: WriterSchema | Poison; readonly untilMs: number }>()

  return {
    async resolve(schemaId) {
      const entry = known.get(schemaId)
      if (entry !== undefined && nowMs() < entry.untilMs) return entry.found
      const found = await load(schemaId)
      if (known.size >= schemasMax) known.clear()
      const isFinal = !('code' in found) || found.code === 'INCOMPATIBLE'
      known.set(schemaId, { found, untilMs: isFinal ? Number.POSITIVE_INFINITY : nowMs() + unknownSchemaTtlMs })
      return found
    },
  }

  async function load(schemaId: number): Promise<WriterSchema | Poison> {
    try {
      const text = await registry.schemaById(schemaId)
      codec.learn(schemaId, text)
      const readerFields = avroSchema(codec.schemaName).fields
      const schema = withLogicalTypes(JSON.parse(text), readerFields)
      const names = namesOf(schema.fields)
      // The sink waits for the column of a new field. It must not wait for that of a schema that has nothing to do with the topic.
      const isNewer = names.some((name) => !readerFields.some((field) => field.name === name))
      if (isNewer && !(await registry.isVersionOf(topic, schemaId))) {
        const message = `schema id ${schemaId} has fields that the schema of ${topic} has not, and is no version of it`
        return { code: 'UNKNOWN_SCHEMA', message }
      }
      const fieldNames = [...placeFields.map(({ name }) => name), ...names]
      return { schemaId, fieldNames, containerSchema: withPlace(schema), walk: compileWalk(schema) }
    } catch (error) {
      if (error instanceof SchemaError && error.retryable) throw error
      if (error instanceof SchemaError && error.code === 'NOT_REGISTERED') {
        return { code: 'UNKNOWN_SCHEMA', message: `the registry does not know schema id ${schemaId}` }
      }
      const reason = error instanceof Error ? error.message : String(error)
      return {
        code: 'INCOMPATIBLE',
        message: `schema id ${schemaId} cannot be stored as "${codec.schemaName}": ${reason}`,
      }
    }
  }
}

/**
 * A writer's schema with the logical types of the fields that we read: a registry's client may leave them out, since they change nothing about the bytes; here
 * they tell which longs are times.
 */
function withLogicalTypes(
  writer: unknown,
  readerFields: readonly AvroField[],
): Readonly<Record<string, unknown>> & { readonly fields: readonly unknown[] } {
  if (typeof writer !== 'object' || writer === null || !('fields' in writer) || !Array.isArray(writer.fields)) {
    throw new Error('the schema is not a record')
  }
  const fields: readonly unknown[] = writer.fields
  return { ...writer, fields: fields.map((field) => withLogicalType(field, readerFields)) }
}

function namesOf(fields: readonly unknown[]): readonly string[] {
  return fields.map((field) =>
    typeof field === 'object' && field !== null && 'name' in field ? String(field.name) : '',
  )
}

function withLogicalType(field: unknown, readerFields: readonly AvroField[]): unknown {
  if (typeof field !== 'object' || field === null || !('name' in field) || !('type' in field)) return field
  if (field.type !== 'long') return field
  const type = readerFields.find(({ name }) => name === field.name)?.type
  return typeof type === 'object' && type !== null && 'type' in type && type.type === 'long'
    ? { ...field, type }
    : field
}
