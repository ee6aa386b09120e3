import { deadLetterHeaders, SinkBatch } from '@millrace/streams/sink'
import avsc from 'avsc'
import { describe, expect, it } from 'vitest'
import { deadLetterFields, writeDeadLetter } from './dead-letter-row.ts'

const type = avsc.Type.forSchema({ type: 'record', name: 'Row', fields: deadLetterFields } as never)

function rowOf(headers: Readonly<Record<string, string>>, { value = 'xyz', timestamp = 5, keepsContent = true } = {}) {
  const batch = new SinkBatch({ topic: 'events.dlq', partition: 0 }, 40)
  const bytes = Buffer.from(`k${value}`)
  batch.append({
    bytes,
    offset: 40,
    timestamp,
    keyStart: 0,
    keyEnd: 1,
    valueStart: 1,
    valueEnd: bytes.length,
    headers: () => Object.entries(headers).map(([key, text]) => ({ key, value: Buffer.from(text) })),
  })
  return type.fromBuffer(writeDeadLetter(batch, 0, keepsContent))
}

const place = {
  [deadLetterHeaders.exception]: 'UNDECODABLE',
  [deadLetterHeaders.message]: 'wörds',
  [deadLetterHeaders.topic]: 'events',
  [deadLetterHeaders.partition]: '3',
  [deadLetterHeaders.offset]: '9007199254',
}

describe('writeDeadLetter', () => {
  it('writes what Avro reads', () => {
    expect(rowOf(place)).toMatchObject({
      topic: 'events',
      partition: 3,
      offset: 9_007_199_254,
      kind: 'letter',
      exception: 'UNDECODABLE',
      message: 'wörds',
      key: Buffer.from('k'),
      value: Buffer.from('xyz'),
      value_bytes: 3,
      timestamp: 5,
      letter_topic: 'events.dlq',
    })
  })

  it('has the time of the record, which the letter names', () => {
    expect(rowOf({ ...place, [deadLetterHeaders.timestamp]: '1700000000000' })).toMatchObject({
      timestamp: 1_700_000_000_000,
    })
  })

  it('leaves content out, and says how much there was', () => {
    const omitted = { ...place, [deadLetterHeaders.omittedBytes]: '2000000' }
    expect(rowOf(place, { keepsContent: false })).toMatchObject({ value: Buffer.alloc(0), value_bytes: 3 })
    expect(rowOf(omitted)).toMatchObject({ value_bytes: 2_000_000 })
  })

  it('marks the place of a record that was put back, also of a topic with hyphens', () => {
    const row = rowOf({ '__millrace.replayed.record': 'api-logs-2-77' })
    expect(row).toMatchObject({ topic: 'api-logs', partition: 2, offset: 77, kind: 'replayed', value_bytes: 0 })
  })

  it.each([
    [{}],
    [{ ...place, [deadLetterHeaders.offset]: '-1' }],
    [{ ...place, [deadLetterHeaders.partition]: '99999999999' }],
  ])('puts what is no letter under its own place: %j', (headers) => {
    expect(rowOf(headers)).toMatchObject({ topic: 'events.dlq', partition: 0, offset: 40, exception: 'NO_PLACE' })
  })

  it('keeps a time within what the column can hold', () => {
    expect(rowOf(place, { timestamp: -1 })).toMatchObject({ timestamp: 0 })
    expect(rowOf(place, { timestamp: 1e15 })).toMatchObject({ timestamp: 10_413_791_999_999 })
  })
})
