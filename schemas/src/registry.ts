import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { type SchemaName, schemaText } from './avro-schemas.ts'
import { createCodec, type RecordCodec, type RecordTypes } from './codec.ts'
import { SchemaError } from './errors.ts'
import { type TopicName, topic, topics, valueSubject } from './topics.ts'

/** Access to the schema registry (Confluent's REST API). Used at start and for unknown ids, never per record. */
export interface Registry {
  /** Registers every schema of the catalogue under its subjects, BACKWARD compatible; what is registered already stays. Throws `INCOMPATIBLE` with the registry's reason. */
  registerAll(): Promise<ReadonlyMap<TopicName, number>>
  /** A codec for the values of `name`, framed with the id under which its schema is registered. Throws `NOT_REGISTERED`. */
  codecFor<N extends SchemaName>(name: TopicName, schema: N): Promise<RecordCodec<RecordTypes[N]>>
  /** The text of the schema with this id. */
  schemaById(schemaId: number): Promise<string>
  /** Whether the schema with this id is a version of the topic's: anybody may have registered it for something else. Throws `REGISTRY_UNAVAILABLE`. */
  isVersionOf(name: TopicName, schemaId: number): Promise<boolean>
}

/** A registry that has not answered by then is away. */
const answerTimeoutMs = 10_000

/** How often the client itself repeats a failed request before the error reaches us. */
const retriesMax = 3

/** Opens the registry at `url`, for instance `http://127.0.0.1:8081/apis/ccompat/v7`. No request is made yet. */
export function openRegistry(url: string): Registry {
  const client = new SchemaRegistry({
    host: url,
    retry: { retries: retriesMax, initialRetryTimeInSecs: 0.1, maxRetryTimeInSecs: 2 },
  })

  return {
    async registerAll() {
      const ids = new Map<TopicName, number>()
      for (const spec of topics) {
        if (spec.schema === null) continue
        try {
          const { id } = await client.register(
            { type: SchemaType.AVRO, schema: schemaText(spec.schema) },
            { subject: valueSubject(spec.name) },
          )
          ids.set(spec.name, id)
        } catch (cause) {
          throw translate(cause, `Schema "${spec.schema}" could not be registered under "${valueSubject(spec.name)}"`)
        }
      }
      return ids
    },

    async codecFor(name, schema) {
      if (topic(name).schema !== schema)
        throw new Error(`Topic "${name}" holds "${topic(name).schema}", not "${schema}"`)
      try {
        const id = await client.getRegistryIdBySchema(valueSubject(name), {
          type: SchemaType.AVRO,
          schema: schemaText(schema),
        })
        return createCodec(schema, id)
      } catch (cause) {
        throw translate(
          cause,
          `Schema "${schema}" is not to be had under "${valueSubject(name)}" at ${url}: run \`millrace provision\``,
        )
      }
    },

    async schemaById(schemaId) {
      try {
        const schema: unknown = await client.getSchema(schemaId)
        return JSON.stringify(schema)
      } catch (cause) {
        throw translate(cause, `Schema id ${schemaId} could not be read from ${url}`)
      }
    },

    async isVersionOf(name, schemaId) {
      const what = `The subjects of schema id ${schemaId} could not be read from ${url}`
      try {
        const signal = AbortSignal.timeout(answerTimeoutMs)
        const answer = await fetch(`${url}/schemas/ids/${schemaId}/versions`, { signal })
        if (answer.status === 404) return false
        if (!answer.ok) throw new Error(`status ${answer.status}`)
        const versions: unknown = await answer.json()
        const subject = valueSubject(name)
        return Array.isArray(versions) && versions.some((version) => version?.subject === subject)
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new SchemaError('REGISTRY_UNAVAILABLE', `${what}: ${reason}`, { cause })
      }
    },
  }
}

/** Decodes with `codec`, fetching the writer's schema from the registry when the record carries an id that is new. */
export async function decodeLearning<T>(codec: RecordCodec<T>, registry: Registry, bytes: Buffer): Promise<T> {
  try {
    return codec.decode(bytes)
  } catch (error) {
    if (!(error instanceof SchemaError) || error.code !== 'UNKNOWN_SCHEMA' || error.schemaId === undefined) throw error
    codec.learn(error.schemaId, await registry.schemaById(error.schemaId))
    return codec.decode(bytes)
  }
}

function translate(cause: unknown, message: string): SchemaError {
  const status = statusOf(cause)
  const reason = cause instanceof Error ? cause.message : String(cause)
  if (status === 409) return new SchemaError('INCOMPATIBLE', `${message}: ${reason}`, { cause })
  if (status === 404) return new SchemaError('NOT_REGISTERED', `${message}: ${reason}`, { cause })
  return new SchemaError('REGISTRY_UNAVAILABLE', `${message}: ${reason}`, { cause })
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined
}
