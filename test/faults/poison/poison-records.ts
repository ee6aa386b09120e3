import { avroSchema, frameBytes, type SchemaName, type TopicName, topic as topicSpec } from '@millrace/schemas'
import { FaultError } from '../fault-error.ts'

/** Topics that anybody who may write to Kafka can put poison into, with the schemas of their values. */
export const poisonedTopics = {
  events: 'event',
  leads: 'lead',
  'api-logs': 'api-log',
  stats: 'event-stats',
} as const satisfies Partial<Record<TopicName, SchemaName>>
export type PoisonedTopic = keyof typeof poisonedTopics
export const poisonedTopicNames = Object.keys(poisonedTopics) as readonly PoisonedTopic[]

/** What can be wrong with a record. */
export const poisonKinds = [
  'wrong magic byte',
  'unknown schema id',
  'truncated Avro',
  'array bomb',
  '__proto__ as a map key',
  '900 kB',
  'null value',
  'wrong key type',
] as const
export type PoisonKind = (typeof poisonKinds)[number]

/** Key and value as they are produced. */
export interface RawRecord {
  readonly key: Buffer
  readonly value: Buffer | null
}

/** Schemas that are registered, and nobody's. */
export interface PoisonSchemas {
  /** The topic's schema with an array of nulls in front. */
  readonly bombId: number
  /** A map. */
  readonly mapId: number
}

/** Ids that no registry has come to. */
const unknownSchemaId = 0x7fff_fff0
const bombItems = 50_000_000
const largeBytes = 900_000
/** Neither UTF-8 nor the bytes of a text in any other encoding that the keys have. */
const wrongKey = Buffer.from([0xff, 0xfe, 0xfd, 0x00])

/** A record with something wrong with it, made of a sound one. */
export function poisonOf(
  kind: PoisonKind,
  sound: RawRecord & { readonly value: Buffer },
  schemas: PoisonSchemas,
): RawRecord {
  const { key, value } = sound
  const body = value.subarray(frameBytes)
  switch (kind) {
    case 'wrong magic byte':
      return { key, value: Buffer.concat([Buffer.from([1]), value.subarray(1)]) }
    case 'unknown schema id':
      return { key, value: framed(unknownSchemaId, body) }
    case 'truncated Avro':
      return { key, value: value.subarray(0, frameBytes + (body.length >> 1)) }
    case 'array bomb':
      // Five bytes: a block of so many nulls, and the end.
      return { key, value: framed(schemas.bombId, Buffer.concat([varint(bombItems), Buffer.from([0]), body])) }
    case '__proto__ as a map key':
      return { key, value: framed(schemas.mapId, mapBody('__proto__', 'polluted')) }
    case '900 kB':
      // No text has so many continued bytes: it is no value of the schema.
      return { key, value: Buffer.concat([value.subarray(0, frameBytes), Buffer.alloc(largeBytes, 0xff)]) }
    case 'null value':
      return { key, value: null }
    case 'wrong key type':
      return { key: wrongKey, value }
  }
}

/**
 * What becomes of it: a dead letter; nothing, where a null value says that a key is deleted; or a row, since no sink reads keys and the value is sound.
 */
export function fateOf(topic: PoisonedTopic, kind: PoisonKind): 'letter' | 'nothing' | 'row' {
  if (kind === 'wrong key type') return 'row'
  const isCompacted = topicSpec(topic).config['cleanup.policy']?.includes('compact') === true
  return kind === 'null value' && isCompacted ? 'nothing' : 'letter'
}

/** Registers the schemas of a topic's poison under subjects of their own. Throws a `FaultError` with what the registry says. */
export async function registerPoison(registryUrl: string, topic: PoisonedTopic): Promise<PoisonSchemas> {
  const schema = avroSchema(poisonedTopics[topic])
  const bomb = { name: 'bomb', type: { type: 'array', items: 'null' } }
  const map = { name: 'labels', type: { type: 'map', values: 'string' } }
  return {
    bombId: await registerSchema(registryUrl, `poison-bomb-${topic}`, { ...schema, fields: [bomb, ...schema.fields] }),
    mapId: await registerSchema(registryUrl, 'poison-map', { type: 'record', name: 'Labels', fields: [map] }),
  }
}

/** Registers a schema; answers its id. */
export async function registerSchema(registryUrl: string, subject: string, schema: unknown): Promise<number> {
  const answer = await fetch(`${registryUrl}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schemaType: 'AVRO', schema: JSON.stringify(schema) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new FaultError(`the registry does not take the schema of ${subject}: ${text}`)
  return JSON.parse(text).id
}

/** `0x00 · int32 schema id · body`. */
export function framed(schemaId: number, body: Buffer): Buffer {
  const frame = Buffer.alloc(frameBytes)
  frame.writeInt32BE(schemaId, 1)
  return Buffer.concat([frame, body])
}

/** A map with one entry: a block of one, its key, its value, and the end. */
function mapBody(key: string, value: string): Buffer {
  const text = (of: string) => Buffer.concat([varint(Buffer.byteLength(of)), Buffer.from(of)])
  return Buffer.concat([varint(1), text(key), text(value), Buffer.from([0])])
}

/** A count in Avro's zigzag encoding. */
function varint(count: number): Buffer {
  const bytes: number[] = []
  let rest = count * 2
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}
