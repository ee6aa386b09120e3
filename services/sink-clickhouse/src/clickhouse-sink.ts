import type { ClickHouse } from '@millrace/storage/clickhouse'
import {
  type BatchSink,
  deadLetter,
  type Producer,
  type SinkBatch,
  sendDeadLetters,
  type WriteContext,
} from '@millrace/streams/sink'
import type { Poison } from './errors.ts'
import { type ReframedBatch, reframe, schemaIdsOf } from './reframe.ts'
import type { SpareBuffers } from './spare-buffers.ts'
import { createTableColumns, type TableColumns } from './table-columns.ts'
import type { WriterSchema, WriterSchemas } from './writer-schemas.ts'

/** What a sink into one table needs. */
export interface ClickHouseSinkOptions {
  readonly table: string
  readonly clickHouse: Pick<ClickHouse, 'insertAvro' | 'columns'>
  readonly schemas: WriterSchemas
  readonly producer: Producer
  readonly deadLetterTopic: string
  readonly nowMs: () => number
  /** Compacted topics mark deleted keys with null values, which have no row. */
  readonly skipTombstones: boolean
  /** Memory of containers, which the sinks of a process share. */
  readonly spares: SpareBuffers
  /** Told when dead letters are acknowledged. */
  readonly onDeadLetters: (reason: string, count: number) => void
}

/** What was made of a batch, kept while its write is repeated. */
interface Prepared extends ReframedBatch {
  lettersSent: boolean
}

/**
 * Writes batches into one ClickHouse table. First the records that cannot be stored go to the dead-letter topic, then the rest is inserted, one insert per schema
 * id, each with a token made of the batch's: ClickHouse ignores what it has. A crash in between repeats both: rows stay single, dead letters may come
 * twice, and say which record they are.
 */
export function createClickHouseSink(options: ClickHouseSinkOptions): BatchSink {
  const prepared = new WeakMap<SinkBatch, Prepared>()
  const columns = createTableColumns(options.clickHouse, options.table)

  return {
    async write(batch, context) {
      const work = prepared.get(batch) ?? (await prepare(batch, columns, options))
      prepared.set(batch, work)
      await sendPoison(batch, work, options)
      await insert(work, context, options)
      // Only of a write that went well: the body of one that failed may still be on its way.
      prepared.delete(batch)
      for (const container of work.containers.values()) container.retire()
    },
  }
}

async function prepare(
  batch: SinkBatch,
  columns: TableColumns,
  { schemas, skipTombstones, spares }: ClickHouseSinkOptions,
): Promise<Prepared> {
  const resolved = new Map<number, WriterSchema | Poison>()
  for (const id of schemaIdsOf(batch)) {
    const schema = await schemas.resolve(id)
    if (!('code' in schema)) await columns.check(schema)
    resolved.set(id, schema)
  }
  return { ...reframe(batch, resolved, { skipTombstones, spares }), lettersSent: false }
}

async function sendPoison(batch: SinkBatch, work: Prepared, options: ClickHouseSinkOptions): Promise<void> {
  if (work.lettersSent || work.poison.length === 0) return
  const letters = work.poison.map(({ row, poison }) => {
    const reason = { exception: poison.code, message: poison.message }
    return deadLetter({ topic: options.deadLetterTopic, batch, row, reason, failedAtMs: options.nowMs() })
  })
  await sendDeadLetters(options.producer, letters)
  work.lettersSent = true
  const counts = new Map<string, number>()
  for (const { poison } of work.poison) counts.set(poison.code, (counts.get(poison.code) ?? 0) + 1)
  for (const [code, count] of counts) options.onDeadLetters(code, count)
}

async function insert(work: Prepared, { token, signal }: WriteContext, options: ClickHouseSinkOptions): Promise<void> {
  for (const [schemaId, container] of work.containers) {
    await options.clickHouse.insertAvro({
      table: options.table,
      body: container.finish(),
      token: `${token}#${schemaId}`,
      signal,
    })
  }
}
