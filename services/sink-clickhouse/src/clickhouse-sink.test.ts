import { avroSchema, createCodec, schemaText } from '@millrace/schemas'
import { type AvroInsert, StorageError } from '@millrace/storage/clickhouse'
import type { OutgoingRecord, Producer } from '@millrace/streams/sink'
import { describe, expect, it } from 'vitest'
import { batchOf } from '../test/batches.ts'
import { createClickHouseSink } from './clickhouse-sink.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { createWriterSchemas } from './writer-schemas.ts'

const codec = createCodec('event', 7)
const fieldNames = avroSchema('event').fields.map(({ name }) => name)
const sound = codec.encode({
  event_id: 'e-1',
  user_id: 'u-1',
  event_type: 'click',
  timestamp: 1_700_000_000_000,
  value: null,
  metadata: '{}',
  received_at: 1_700_000_000_000,
  source: 's',
})

function setUp() {
  const log: string[] = []
  let failures = 0
  const columns = ['_partition', '_offset', ...fieldNames]
  const letters: OutgoingRecord[] = []
  const producer: Producer = {
    async send(records) {
      log.push(`dead letters ${records.length}`)
      letters.push(...records)
      return []
    },
    close: async () => {},
  }
  const sink = createClickHouseSink({
    table: 'events',
    clickHouse: {
      async insertAvro({ table, token, body }: AvroInsert) {
        log.push(`insert ${table} ${token} ${body.subarray(0, 3)}`)
        if (failures-- > 0) throw new StorageError('UNAVAILABLE', 'away')
      },
      async columns(table) {
        log.push(`columns of ${table}`)
        return columns
      },
    },
    schemas: createWriterSchemas({
      registry: { schemaById: async () => schemaText('event'), isVersionOf: async () => true },
      topic: 'events',
      codec,
      nowMs: () => 0,
    }),
    producer,
    deadLetterTopic: 'events.dlq',
    nowMs: () => 1_800_000_000_000,
    skipTombstones: false,
    spares: new SpareBuffers(1),
    onDeadLetters: (reason, count) => void log.push(`${reason} ${count}`),
  })
  const context = { token: 'events:3:0-2@1', signal: new AbortController().signal }
  return { log, letters, columns, sink, context, failNext: () => (failures = 1) }
}

describe('createClickHouseSink', () => {
  it('sends poison first, then inserts the rest under the batch token', async () => {
    const { sink, context, log, letters } = setUp()
    await sink.write(batchOf([sound, Buffer.from('x'), sound]), context)
    expect(log).toEqual(['columns of events', 'dead letters 1', 'NOT_FRAMED 1', 'insert events events:3:0-2@1#7 Obj'])
    expect(letters[0]).toMatchObject({ value: Buffer.from('x'), timestamp: 1_800_000_000_000 })
  })

  it('repeats the insert alone when the same batch comes again', async () => {
    const { sink, context, log, failNext } = setUp()
    const batch = batchOf([sound, null])
    failNext()
    await expect(sink.write(batch, context)).rejects.toMatchObject({ retryable: true })
    await sink.write(batch, context)
    expect(log.filter((line) => line.startsWith('dead'))).toHaveLength(1)
    expect(log.filter((line) => line.startsWith('insert'))).toHaveLength(2)
  })

  it('waits, and sends nothing anywhere, while the table lacks a column; asks once when it has all', async () => {
    const { sink, context, log, columns } = setUp()
    const batch = batchOf([sound, null])
    columns.splice(columns.indexOf('source'), 1)
    const refused = sink.write(batch, context)
    await expect(refused).rejects.toMatchObject({ code: 'COLUMN_MISSING', retryable: true })
    await expect(refused).rejects.toThrow('schema id 7 have source, for which table events has no column')
    expect(log).toEqual(['columns of events'])
    columns.push('source')
    await sink.write(batch, context)
    await sink.write(batchOf([sound]), context)
    expect(log.filter((line) => line.startsWith('columns'))).toHaveLength(2)
    expect(log.filter((line) => line.startsWith('insert'))).toHaveLength(2)
  })

  it('inserts nothing when every record is poison', async () => {
    const { sink, context, log } = setUp()
    await sink.write(batchOf([null]), context)
    expect(log).toEqual(['dead letters 1', 'NOT_FRAMED 1'])
  })
})
