import { createCodec, type EventStats, statsIntervalNames, statsIntervals } from '@millrace/schemas'
import { describe, type Serde, utf8 } from '@millrace/streams'
import { TopologyDriver } from '@millrace/streams/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { countedEvents } from './counted-event.ts'
import { buildTopology } from './topology.ts'

const eventCodec = createCodec('event', 1)
const statsCodec = createCodec('event-stats', 2)
const stats: Serde<EventStats> = {
  read: (bytes, start, end) => statsCodec.decode(bytes.subarray(start, end)),
  write: (value) => statsCodec.encode(value),
}
const day = 86_400_000
const topology = (change: { readonly statsTopic?: string } = {}) =>
  buildTopology({ events: countedEvents(eventCodec), stats, graceMs: 60_000, retentionMs: 7 * day, ...change })
const arrivedMs = Date.UTC(2026, 10, 21)

it('is five intervals over one repartition', () => {
  expect(describe(topology())).toMatchSnapshot()
})

it('has all its results go to another topic when it computes history anew', () => {
  const sinks = describe(topology({ statsTopic: 'stats.again' })).match(/\(topic: stats[^)]*\)/g)
  expect(sinks).toEqual(statsIntervalNames.map(() => '(topic: stats.again)'))
})

it('gives the figures of every interval, whatever the order and partitions of the events', async () => {
  const event = fc.record({
    event_type: fc.constantFrom('view', 'click', 'größe'),
    timestamp: fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2025, 0, 3) }),
    value: fc.option(fc.integer({ min: -1000, max: 1000 })),
    partition: fc.integer({ min: 0, max: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 40 }), async (events) => {
      const driver = new TopologyDriver(topology(), { partitions: 4, commit: 'manual' })
      for (const [index, { partition, ...fields }] of events.entries()) {
        const value = eventCodec.encode({
          event_id: `e${index}`,
          user_id: 'u',
          metadata: '{}',
          received_at: arrivedMs + index,
          source: 's',
          ...fields,
        })
        await driver.pipeBytes('events', { key: Buffer.from('u'), value, timestamp: arrivedMs + index, partition })
      }
      await driver.commit()
      await driver.commit()
      const found = new Map(driver.read('stats', { key: utf8, value: stats }).map(({ key, value }) => [key, value]))
      for (const interval of statsIntervalNames) {
        const size = statsIntervals[interval]
        const windows = Map.groupBy(
          events,
          ({ event_type, timestamp }) => `${event_type}@${interval}@${timestamp - (timestamp % size)}`,
        )
        for (const [key, inside] of windows) {
          const values = inside.flatMap(({ value }) => (value === null ? [] : [value]))
          const sum = values.reduce((total, value) => total + value, 0)
          expect(found.get(key)).toMatchObject({
            count: inside.length,
            value_count: values.length,
            sum,
            avg: values.length === 0 ? null : sum / values.length,
            min: values.length === 0 ? null : Math.min(...values),
            max: values.length === 0 ? null : Math.max(...values),
            final: false,
          })
          found.delete(key)
        }
      }
      expect([...found.keys()]).toEqual([])
      await driver.close()
    }),
    { numRuns: 40 },
  )
})

it('reads of an event what the codec reads', () => {
  const event = fc.record({
    event_id: fc.string(),
    user_id: fc.string({ unit: 'grapheme' }),
    event_type: fc.string({ unit: 'grapheme' }),
    timestamp: fc.integer({ min: 0, max: 2 ** 52 - 1 }),
    value: fc.option(fc.double({ noNaN: true })),
    metadata: fc.string(),
    received_at: fc.nat(),
    source: fc.string(),
  })
  const serde = countedEvents(eventCodec)
  fc.assert(
    fc.property(event, (value) => {
      const bytes = eventCodec.encode(value)
      const { event_type, timestamp } = value
      expect(serde.read(bytes, 0, bytes.length)).toEqual({ event_type, timestamp, value: value.value })
      for (const end of [0, 4, 6]) expect(() => serde.read(bytes, 0, end)).toThrow()
    }),
  )
})
