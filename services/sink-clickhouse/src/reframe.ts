import { frameBytes } from '@millrace/schemas'
import type { SinkBatch } from '@millrace/streams/sink'
import { AvroContainer } from './avro-container.ts'
import type { Poison } from './errors.ts'
import type { SpareBuffers } from './spare-buffers.ts'
import type { WriterSchema } from './writer-schemas.ts'

/** Varints of partition and offset, as a guess for the size of a container. */
const placeBytes = 8

/** A batch as ClickHouse takes it. */
export interface ReframedBatch {
  /** By schema id, in the order in which the ids came up. */
  readonly containers: ReadonlyMap<number, AvroContainer>
  readonly poison: readonly { readonly row: number; readonly poison: Poison }[]
}

/** The schema ids of a batch's records; records without a frame have none. */
export function schemaIdsOf(batch: SinkBatch): ReadonlySet<number> {
  const ids = new Set<number>()
  const { bytes } = batch
  let last = -1
  for (let row = 0; row < batch.count; row++) {
    const start = batch.valueStart(row)
    if (!isFramed(bytes, start, batch.valueEnd(row))) continue
    const id = bytes.readInt32BE(start + 1)
    if (id !== last) ids.add(id)
    last = id
  }
  return ids
}

/**
 * Re-frames a batch: `0x00 · int32 id · body` becomes a row `partition · offset · body` of a container, one container per schema id. Nothing is decoded: each
 * body is walked once, lengths only, so that a record that ClickHouse could not read is found here. Tombstones (null values) are left out when
 * `skipTombstones` says that the topic has them.
 */
export function reframe(
  batch: SinkBatch,
  schemas: ReadonlyMap<number, WriterSchema | Poison>,
  options: { readonly skipTombstones: boolean; readonly spares: SpareBuffers },
): ReframedBatch {
  const containers = new Map<number, AvroContainer>()
  const poison: { row: number; poison: Poison }[] = []
  const place = { partition: batch.partition, offset: 0 }
  const { bytes } = batch
  // Of the record before: nearly all records of a batch have one schema.
  let lastId = -1
  let schema: WriterSchema | Poison = unresolved
  let container: AvroContainer | undefined
  for (let row = 0; row < batch.count; row++) {
    const start = batch.valueStart(row)
    if (start < 0 && options.skipTombstones) continue
    const end = batch.valueEnd(row)
    if (!isFramed(bytes, start, end)) {
      poison.push({ row, poison: notFramed })
      continue
    }
    const id = bytes.readInt32BE(start + 1)
    if (id !== lastId) {
      lastId = id
      schema = schemas.get(id) ?? unresolved
      container = containers.get(id)
    }
    if ('code' in schema) {
      poison.push({ row, poison: schema })
      continue
    }
    const bodyStart = start + frameBytes
    const result = schema.walk.check(bytes, bodyStart, end)
    if (result !== 'sound') {
      poison.push({ row, poison: result === 'undecodable' ? undecodable : outOfRange })
      continue
    }
    if (container === undefined) {
      const rowBytes = batch.bytesUsed + batch.count * placeBytes
      container = new AvroContainer(schema.containerSchema, rowBytes, options.spares)
      containers.set(id, container)
    }
    place.offset = batch.offset(row)
    container.append(place, bytes, bodyStart, end)
  }
  return { containers, poison }
}

const notFramed: Poison = { code: 'NOT_FRAMED', message: 'the value does not begin with 0x00 and a schema id' }
const undecodable: Poison = { code: 'UNDECODABLE', message: 'the body is not one value of its schema' }
const outOfRange: Poison = { code: 'OUT_OF_RANGE', message: 'a timestamp is not between 1970 and 2299' }
const unresolved: Poison = { code: 'UNKNOWN_SCHEMA', message: 'the schema id was not resolved' }

function isFramed(bytes: Buffer, start: number, end: number): boolean {
  return start >= 0 && end - start >= frameBytes && bytes[start] === 0
}
