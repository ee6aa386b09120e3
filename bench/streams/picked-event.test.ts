import { createCodec } from '@millrace/schemas'
import { describe, expect, it } from 'vitest'
import { EventDraw, fullEvent } from './event-shape.ts'
import { eventSchemaId } from './input-topic.ts'
import { pickedEvents } from './picked-event.ts'

const codec = createCodec('event', eventSchemaId)

describe('pickedEvents', () => {
  it('reads what the codec reads', () => {
    const picked = pickedEvents()
    const draw = new EventDraw('random-users', 500)
    for (let index = 0; draw.next(); index++) {
      const event = fullEvent(draw.event, 1_700_000_000_000, index)
      const bytes = codec.encode(index % 7 === 0 ? { ...event, value: null } : event)
      const { event_type, value } = codec.decode(bytes)
      expect(picked.read(Buffer.concat([Buffer.alloc(3), bytes]), 3, 3 + bytes.length)).toEqual({ event_type, value })
    }
  })

  it('refuses what is cut off before the value, and what is framed otherwise', () => {
    const picked = pickedEvents()
    const draw = new EventDraw('random-users', 1)
    draw.next()
    const event = fullEvent(draw.event, 1_700_000_000_000, 0)
    const bytes = codec.encode(event)
    const valueEnd = bytes.length - codec.encode({ ...event, value: null }).length
    expect(valueEnd).toBe(8)
    const tail = 1 + event.metadata.length + 1 + 6 + 1 + event.source.length
    for (let end = 5; end < bytes.length - tail; end++)
      expect(() => picked.read(bytes, 0, end), `${end}`).toThrow(RangeError)
    expect(() => picked.read(createCodec('event', 2).encode(event), 0, bytes.length)).toThrow(/schema id 1/)
  })
})
