import avsc from 'avsc'
import { avroSchema, type SchemaName } from './avro-schemas.ts'
import { requireBounded } from './bounded-schema.ts'
import { SchemaError } from './errors.ts'
import type { ApiLog, Event, EventStats, Lead, LeadOutcome } from './types.generated.ts'

/** The TypeScript type of each schema's records. */
export interface RecordTypes {
  readonly event: Event
  readonly lead: Lead
  readonly 'lead-outcome': LeadOutcome
  readonly 'event-stats': EventStats
  readonly 'api-log': ApiLog
}

/**
 * The Confluent wire format: `0x00 · int32 schema id, big endian · Avro body`.
 * Source: Confluent's "Wire format" page of the schema registry's documentation.
 */
export const frameBytes = 5

/** A 64-bit float holds every integer up to here; avsc decodes negative longs below −2^52 wrongly (mtth/avsc#455). */
export const longMax = 2 ** 52

/** Encodes and decodes the framed records of one schema, synchronously. */
export interface RecordCodec<T> {
  readonly schemaName: SchemaName
  /** The id that encoded records carry. */
  readonly schemaId: number
  /**
   * Writes one framed record at `at`. Returns the position after it, or −1 when it does not fit; the bytes behind `at` are then undefined.
   * The value must have been validated: a wrong type throws `NOT_ENCODABLE`.
   */
  encodeInto(value: T, buffer: Buffer, at: number): number
  /** One framed record in a buffer of its own. Throws `NOT_ENCODABLE`. */
  encode(value: T): Buffer
  /**
   * Decodes one framed record, also one that an older or newer version of the schema wrote.
   * Throws `NOT_FRAMED`, `UNDECODABLE`, or `UNKNOWN_SCHEMA` with the id: then `learn` that id's schema and decode again.
   */
  decode(bytes: Buffer): T
  /** Teaches the codec a writer's schema. Throws `INCOMPATIBLE` when this codec's schema cannot read it, or when a few bytes of it may stand for any number of items. */
  learn(schemaId: number, writerSchema: string): void
}

/** Makes the codec of `name` for records framed with `schemaId`. Compiles the schema once: keep the codec. */
export function createCodec<N extends SchemaName>(name: N, schemaId: number): RecordCodec<RecordTypes[N]> {
  const type = avsc.Type.forSchema(avroSchema(name) as avsc.Schema)
  const resolvers = new Map<number, avsc.Resolver | null>([[schemaId, null]])

  function encodeInto(value: RecordTypes[N], buffer: Buffer, at: number): number {
    if (at + frameBytes > buffer.length) return -1
    buffer[at] = 0
    buffer.writeInt32BE(schemaId, at + 1)
    try {
      const end = type.encode(value, buffer, at + frameBytes)
      return end < 0 ? -1 : end
    } catch (cause) {
      throw new SchemaError('NOT_ENCODABLE', `The value does not fit the schema "${name}"`, { cause })
    }
  }

  return {
    schemaName: name,
    schemaId,
    encodeInto,
    encode(value) {
      for (let size = 256; ; size *= 4) {
        const buffer = Buffer.allocUnsafe(size)
        const end = encodeInto(value, buffer, 0)
        if (end >= 0) return buffer.subarray(0, end)
      }
    },
    decode(bytes) {
      if (bytes.length < frameBytes || bytes[0] !== 0) {
        throw new SchemaError(
          'NOT_FRAMED',
          `A record of schema "${name}" must start with 0x00 and a schema id; got ${bytes.length} bytes`,
        )
      }
      const id = bytes.readInt32BE(1)
      const resolver = resolvers.get(id)
      if (resolver === undefined)
        throw new SchemaError('UNKNOWN_SCHEMA', `Schema id ${id} is not known yet to the codec of "${name}"`, {
          schemaId: id,
        })
      try {
        return type.fromBuffer(bytes.subarray(frameBytes), resolver ?? undefined)
      } catch (cause) {
        throw new SchemaError('UNDECODABLE', `The record is not a valid "${name}"`, { cause, schemaId: id })
      }
    },
    learn(id, writerSchema) {
      try {
        const parsed: unknown = JSON.parse(writerSchema)
        requireBounded(parsed)
        const writer = avsc.Type.forSchema(parsed as avsc.Schema)
        resolvers.set(id, type.createResolver(writer))
      } catch (cause) {
        throw new SchemaError('INCOMPATIBLE', `Schema id ${id} cannot be read as "${name}"`, { cause, schemaId: id })
      }
    },
  }
}
