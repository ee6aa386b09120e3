import { type RecordCodec, type Registry, SchemaError } from '@millrace/schemas'
import type { Placed } from '@millrace/storage/mysql'
import type { DeadLetterReason, SinkBatch } from '@millrace/streams/sink'
import { unknownSchemasMax, unknownSchemaTtlMs } from './limits.ts'

/** A batch as values. */
export interface DecodedBatch<T> {
  readonly values: readonly Placed<T>[]
  /** Records that can never be decoded. */
  readonly poison: readonly { readonly row: number; readonly reason: DeadLetterReason }[]
}

/** Decodes batches of one topic. Throws the registry's retryable error when a new schema is needed and the registry is away. */
export type BatchDecoder<T> = (batch: SinkBatch) => Promise<DecodedBatch<T>>

/** Makes the decoder of a topic whose values `codec` reads. */
export function createBatchDecoder<T>(options: {
  readonly codec: RecordCodec<T>
  readonly registry: Pick<Registry, 'schemaById'>
  /** Compacted topics mark deleted keys with null values, which are left out; elsewhere they are poison. */
  readonly skipTombstones: boolean
  readonly nowMs: () => number
}): BatchDecoder<T> {
  const { codec, registry, skipTombstones, nowMs } = options
  /** Ids that cannot be read, until when. */
  const unreadable = new Map<number, { readonly reason: DeadLetterReason; readonly untilMs: number }>()

  return async (batch) => {
    const values: Placed<T>[] = []
    const poison: { row: number; reason: DeadLetterReason }[] = []
    for (let row = 0; row < batch.count; row++) {
      const bytes = batch.value(row)
      if (bytes === null) {
        if (!skipTombstones) poison.push({ row, reason: noValue })
        continue
      }
      const decoded = decode(bytes)
      // Only a schema id that was never seen costs a turn of the event loop.
      const result = 'unknownId' in decoded ? await learn(decoded.unknownId, bytes) : decoded
      if ('value' in result) values.push({ offset: batch.offset(row), value: result.value })
      else poison.push({ row, reason: result.reason })
    }
    return { values, poison }
  }

  function decode(bytes: Buffer): Decoded<T> | { readonly unknownId: number } {
    try {
      return { value: codec.decode(bytes) }
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error
      if (error.code === 'UNKNOWN_SCHEMA' && error.schemaId !== undefined) return { unknownId: error.schemaId }
      return { reason: reasonOf(error) }
    }
  }

  async function learn(schemaId: number, bytes: Buffer): Promise<Decoded<T>> {
    const known = unreadable.get(schemaId)
    if (known !== undefined && nowMs() < known.untilMs) return known
    try {
      codec.learn(schemaId, await registry.schemaById(schemaId))
    } catch (error) {
      if (!(error instanceof SchemaError) || error.retryable) throw error
      if (unreadable.size >= unknownSchemasMax) unreadable.clear()
      const reason = reasonOf(error)
      unreadable.set(schemaId, { reason, untilMs: nowMs() + unknownSchemaTtlMs })
      return { reason }
    }
    const decoded = decode(bytes)
    return 'unknownId' in decoded
      ? { reason: { exception: 'UNKNOWN_SCHEMA', message: `schema id ${schemaId}` } }
      : decoded
  }
}

const noValue: DeadLetterReason = { exception: 'NOT_FRAMED', message: 'the record has no value' }

type Decoded<T> = { readonly value: T } | { readonly reason: DeadLetterReason }

/** The error's own message names schema and id; its cause may quote the record, and stays out. */
function reasonOf(error: SchemaError): DeadLetterReason {
  return { exception: error.code, message: error.message }
}
