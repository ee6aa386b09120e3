import { describe, expect, it } from 'vitest'
import { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import { deadLetter, sendDeadLetters } from './dead-letter.ts'
import { SinkBatch } from './sink-batch.ts'

async function batchOf(records: readonly Omit<OutgoingRecord, 'topic' | 'partition'>[]): Promise<SinkBatch> {
  const broker = new FakeBroker()
  broker.createTopic('events', 3)
  broker.append(records.map((record) => ({ ...record, topic: 'events', partition: 2 })))
  const fetcher = await broker.openFetcher({ clientId: 'test' })
  fetcher.assign([{ topic: 'events', partition: 2, offset: 0 }])
  const batch = new SinkBatch({ topic: 'events', partition: 2 }, 0)
  const cursor = new RecordCursor()
  for (const fetched of await fetcher.poll(0)) {
    cursor.reset(fetched)
    while (cursor.next()) batch.append(cursor)
  }
  return batch
}

function headersOf(letter: OutgoingRecord): Record<string, string> {
  return Object.fromEntries((letter.headers ?? []).map(({ key, value }) => [key, String(value)]))
}

const failedAtMs = 1_800_000_000_000

describe('deadLetter', () => {
  it('keeps key, value and headers, and says where, when and why it failed, and the time of the record', async () => {
    const key = Buffer.from('user-1')
    const value = Buffer.from([0, 1, 2, 255])
    const traced = { key: 'traceparent', value: Buffer.from('00-1') }
    const batch = await batchOf([
      { key: null, value: null, timestamp: 1 },
      { key, value, timestamp: 1_700_000_000_000, headers: [traced] },
    ])
    const reason = { exception: 'UNDECODABLE', message: 'field user_id is cut off' }
    const letter = deadLetter({ topic: 'events.dlq', batch, row: 1, reason, failedAtMs })
    expect(letter).toMatchObject({ topic: 'events.dlq', partition: 0, key, value, timestamp: failedAtMs })
    expect(headersOf(letter)).toEqual({
      traceparent: '00-1',
      '__streams.errors.exception': 'UNDECODABLE',
      '__streams.errors.message': 'field user_id is cut off',
      '__streams.errors.stacktrace': '',
      '__streams.errors.topic': 'events',
      '__streams.errors.partition': '2',
      '__streams.errors.offset': '1',
      '__millrace.errors.timestamp': '1700000000000',
    })
    expect(deadLetter({ topic: 'events.dlq', batch, row: 0, reason, failedAtMs })).toMatchObject({
      key: null,
      value: null,
    })
  })
})

describe('sendDeadLetters', () => {
  it('sends one that is too large without its value, and the others whole', async () => {
    const batch = await batchOf([
      { key: null, value: Buffer.from('small'), timestamp: 1 },
      { key: null, value: Buffer.alloc(900), timestamp: 1 },
    ])
    const broker = new FakeBroker()
    broker.createTopic('events.dlq', 1, { 'max.message.bytes': '1000' })
    const producer = await broker.openProducer({ clientId: 'test' })
    const reason = { exception: 'UNDECODABLE', message: 'why' }
    const letters = [0, 1].map((row) => deadLetter({ topic: 'events.dlq', batch, row, reason, failedAtMs }))
    await sendDeadLetters(producer, letters)
    const read = broker.read('events.dlq')
    expect(read.map(({ value }) => value?.toString() ?? null)).toEqual(['small', null])
    expect(read[1]?.headers.at(-1)).toEqual({ key: '__millrace.errors.omitted.bytes', value: Buffer.from('900') })
  })

  it('passes other errors on', async () => {
    const broker = new FakeBroker()
    broker.createTopic('events.dlq', 1)
    broker.failNext('send', { error: new StreamsError('BROKER_UNAVAILABLE', 'away'), applied: false })
    const producer = await broker.openProducer({ clientId: 'test' })
    const letter = { topic: 'events.dlq', partition: 0, key: null, value: null, timestamp: 1 }
    await expect(sendDeadLetters(producer, [letter])).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    await sendDeadLetters(producer, [])
  })
})
