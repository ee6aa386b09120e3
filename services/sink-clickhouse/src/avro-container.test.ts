import { avroSchema, schemaText } from '@millrace/schemas'
import avsc from 'avsc'
import { describe, expect, it } from 'vitest'
import { AvroContainer, withPlace } from './avro-container.ts'
import { SpareBuffers } from './spare-buffers.ts'

/** Reads a container with avsc's own decoder. */
async function read(container: Buffer): Promise<unknown[]> {
  const rows: unknown[] = []
  const decoder = new avsc.streams.BlockDecoder()
  decoder.end(container)
  for await (const row of decoder) rows.push({ ...row })
  return rows
}

describe('AvroContainer', () => {
  it('holds each row with its place, as another decoder reads it', async () => {
    const type = avsc.Type.forSchema(JSON.parse(schemaText('event')))
    const container = new AvroContainer(withPlace({ ...avroSchema('event') }), 10, new SpareBuffers(1))
    const events = [0, 1, 127, 128, 2 ** 31, 2 ** 40, 2 ** 51].map((offset, index) => ({
      offset,
      event: {
        event_id: `e-${index}`,
        user_id: 'ü'.repeat(index * 40),
        event_type: 'click',
        timestamp: 1_700_000_000_000 + index,
        value: index % 2 === 0 ? null : index / 3,
        metadata: '{}',
        received_at: 1_700_000_000_000,
        source: 'user-1',
      },
    }))
    for (const { offset, event } of events) {
      const body = Buffer.concat([Buffer.alloc(5), type.toBuffer(event), Buffer.alloc(2)])
      container.append({ partition: 300, offset }, body, 5, body.length - 2)
    }
    expect(container.count).toBe(events.length)
    const expected = events.map(({ offset, event }) => ({ _partition: 300, _offset: offset, ...event }))
    expect(await read(container.finish())).toEqual(expected)
    // It may be finished again, and go on.
    expect(await read(container.finish())).toEqual(expected)
  })

  it('is whole in memory that held another one', async () => {
    const spares = new SpareBuffers(1)
    const schema = '{"type":"record","name":"R","fields":[{"name":"text","type":"string"}]}'
    const rows = (container: AvroContainer, text: string) => {
      const body = avsc.Type.forSchema(JSON.parse(schema)).toBuffer({ text })
      for (let offset = 2 ** 30; offset < 2 ** 30 + 50; offset++)
        container.append({ partition: 1, offset }, body, 0, body.length)
    }
    const first = new AvroContainer(schema, 10, spares)
    rows(first, 'x'.repeat(20_000))
    first.retire()
    const second = new AvroContainer(withPlace(JSON.parse(schema)), 10, spares)
    rows(second, 'short')
    const expected = Array.from({ length: 50 }, (_, row) => ({ _partition: 1, _offset: 2 ** 30 + row, text: 'short' }))
    expect(await read(second.finish())).toEqual(expected)
  })

  it('has the layout of the specification', () => {
    const schema = '{"type":"record","name":"R","fields":[]}'
    const container = new AvroContainer(schema, 0, new SpareBuffers(0))
    container.append({ partition: 1, offset: 64 }, Buffer.alloc(0), 0, 0)
    const bytes = container.finish()
    const sync = bytes.subarray(-16)
    expect(bytes.subarray(0, 4)).toEqual(Buffer.from('Obj\u0001'))
    expect(bytes.subarray(4, 5)).toEqual(Buffer.of(4)) // two entries
    expect(bytes.toString('latin1')).toContain(`\u0016avro.schema\u0050${schema}\u0014avro.codec\u0008null\u0000`)
    // one row · three bytes · partition 1 · offset 64
    expect(bytes.subarray(-16 - 16 - 5, -16)).toEqual(Buffer.concat([sync, Buffer.from([2, 6, 2, 0x80, 0x01])]))
  })
})
