import { describe, expect, test } from 'vitest'
import {
  count,
  describe as describeTopology,
  hoppingWindows,
  StreamsBuilder,
  StreamsError,
  type Topology,
  tumblingWindows,
  utf8,
} from '../src/index.ts'
import { type TestOutput, TopologyDriver } from '../src/testing/index.ts'

const serdes = { key: utf8, value: utf8 }
const lateTopic = 'events-late'

function direct(windows = tumblingWindows({ sizeMs: 10, graceMs: 5 })): Topology {
  const builder = new StreamsBuilder()
  builder
    .stream('events', serdes)
    .groupByKey()
    .windowedBy(windows)
    .count({ name: 'counting', store: 'counts', lateTopic })
  return builder.build()
}

function throughPartials(): Topology {
  const builder = new StreamsBuilder()
  builder
    .stream('events', serdes)
    .groupByKey()
    .preAggregate({ name: 'partials', windowSizeMs: 10, aggregator: count() })
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 5 }))
    .merge({ name: 'merging', store: 'counts', lateTopic })
  return builder.build()
}

function headersOf(record: TestOutput<string, string> | undefined): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries((record?.headers ?? []).map(({ key, value }) => [key, value?.toString()]))
}

describe('a topic for late records', () => {
  test('gets the record as it was read, with the window, the stream time, the lateness and its place', async () => {
    const driver = new TopologyDriver(direct(), { partitions: { events: 1, [lateTopic]: 1 } })
    await driver.pipe('events', serdes, { key: 'a', value: 'first', timestamp: 42 })
    const headers = [{ key: 'trace', value: Buffer.from('7') }]
    await driver.pipe('events', serdes, { key: 'b', value: 'late', timestamp: 13, headers })
    const late = driver.read(lateTopic, serdes)
    expect(late.map(({ key, value, timestamp }) => ({ key, value, timestamp }))).toEqual([
      { key: 'b', value: 'late', timestamp: 13 },
    ])
    expect(headersOf(late[0])).toEqual({
      trace: '7',
      '__millrace.late.node': 'counting',
      '__millrace.late.window.start': '10',
      '__millrace.late.stream.time': '42',
      '__millrace.late.lateness': '29',
      '__millrace.late.topic': 'events',
      '__millrace.late.partition': '0',
      '__millrace.late.offset': '1',
    })
    expect(driver.dropped).toEqual(new Map([['late', 1]]))
    await driver.close()
  })

  test('gets a record once for each window it is late for, and counts it in the others', async () => {
    const driver = new TopologyDriver(direct(hoppingWindows({ sizeMs: 20, advanceMs: 10, graceMs: 0 })))
    await driver.pipe('events', serdes, { key: 'a', value: '', timestamp: 31 })
    await driver.pipe('events', serdes, { key: 'a', value: '', timestamp: 25 })
    expect(driver.read(lateTopic, serdes).map((record) => headersOf(record)['__millrace.late.window.start'])).toEqual([
      '10',
    ])
    const rows = await driver.rows('counts')
    expect(rows.map(({ value, windowStartMs }) => [windowStartMs, value])).toEqual([
      [20, 2],
      [30, 1],
    ])
    await driver.close()
  })

  test('gets partials behind a repartition, which tell their place there', async () => {
    const driver = new TopologyDriver(throughPartials())
    await driver.pipe('events', serdes, { key: 'a', value: '', timestamp: 42 })
    await driver.pipe('events', serdes, { key: 'a', value: '', timestamp: 13 })
    const [late] = driver.read(lateTopic, { key: utf8, value: utf8 })
    expect(headersOf(late)).toMatchObject({
      '__millrace.late.node': 'merging',
      '__millrace.late.window.start': '10',
      '__millrace.late.topic': 'test-partials-repartition',
    })
    await driver.close()
  })

  test('is not written when the transaction is not committed', async () => {
    const driver = new TopologyDriver(direct(), { commit: 'manual' })
    await driver.pipe('events', serdes, { key: 'a', value: '', timestamp: 42 })
    await driver.pipe('events', serdes, { key: 'a', value: '', timestamp: 13 })
    await driver.commit('before-transaction')
    expect(driver.bytesOf(lateTopic)).toEqual([])
    await driver.commit()
    expect(driver.bytesOf(lateTopic).length).toBe(1)
    await driver.close()
  })

  test('shows in the description, and must have a legal name', () => {
    expect(describeTopology(direct())).toContain('Processor: counting (stores: [counts]) (late: events-late)')
    const builder = new StreamsBuilder()
    const windows = tumblingWindows({ sizeMs: 10, graceMs: 0 })
    builder.stream('events', serdes).groupByKey().windowedBy(windows).count({ lateTopic: 'no spaces' })
    expect(() => builder.build()).toThrow(StreamsError)
    expect(() => builder.build()).toThrow('late topic "no spaces"')
  })
})
