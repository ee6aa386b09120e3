import { describe, expect, test } from 'vitest'
import { count } from '../aggregate/count.ts'
import { int64 } from '../aggregate/numbers.ts'
import { StreamsError } from '../core/errors.ts'
import { unpacked } from '../core/packed-records.ts'
import { json, nullable, utf8 } from '../core/serde.ts'
import { decodeWatermark } from '../core/watermark.ts'
import { StreamsBuilder } from '../dsl/streams-builder.ts'
import { MemoryStore } from '../state/memory-store.ts'
import type { ByteStore } from '../state/store.ts'
import { windowRowKey } from '../state/window-key.ts'
import { DriverLog } from '../testing/driver-log.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { TopologyDriver } from '../testing/topology-driver.ts'
import { topicNames } from '../topology/topic-names.ts'
import type { Topology } from '../topology/topology.ts'
import { tumblingWindows } from '../windows/time-windows.ts'
import type { FailurePolicy } from './failures.ts'
import { openTaskStore } from './open-task-store.ts'
import { StreamTask, type StreamTaskOptions } from './task.ts'

const texts = { key: utf8, value: utf8 }

/** A task of partition 0 of the topology's first part, without a driver. */
function taskOf(topology: Topology, options: Partial<StreamTaskOptions> = {}): StreamTask {
  const [subtopology] = topology.subtopologies
  if (subtopology === undefined) throw new Error('the topology is empty')
  return new StreamTask({
    subtopology,
    partition: 0,
    stores: new Map(),
    names: topicNames('test'),
    partitionsOf: () => 2,
    writersOf: () => [],
    clock: new ManualClock(),
    ...options,
  })
}

function copyTopology(): Topology {
  const builder = new StreamsBuilder()
  builder.stream('in', texts).to('out')
  return builder.build()
}

function logOf(records: readonly { topic: string; value: string; timestamp: number }[]): DriverLog {
  const log = new DriverLog()
  for (const { topic, value, timestamp } of records)
    log.append({ topic, partition: 0, key: Buffer.from('k'), value: Buffer.from(value), timestamp })
  return log
}

function feed(task: StreamTask, log: DriverLog, topic: string, offset = 0): void {
  const fetched = log.fetch({ topic, partition: 0 }, offset)
  if (fetched !== undefined) task.add(fetched)
}

describe('positions', () => {
  const log = logOf([0, 1, 2].map((i) => ({ topic: 'in', value: `${i}`, timestamp: i })))

  test('follow what was processed, not what was buffered', async () => {
    const task = taskOf(copyTopology())
    await task.init(new Map())
    expect(task.position('in')).toBeUndefined()
    feed(task, log, 'in')
    expect(await task.process(2)).toBe(2)
    expect(task.position('in')).toBe(2)
    const { offsets, records } = await task.prepareCommit()
    expect(offsets).toMatchObject([{ topic: 'in', partition: 0, offset: 2 }])
    expect(unpacked(records).map(({ value }) => value?.toString())).toEqual(['0', '1'])
    expect(task.bufferedBytes).toBeGreaterThan(0)
    expect(await task.process(10)).toBe(1)
    expect(await task.process(10)).toBe(0)
    expect(task.bufferedBytes).toBe(0)
  })

  test('begin at the committed offset', async () => {
    const task = taskOf(copyTopology())
    await task.init(new Map([['in', { offset: 1, metadata: '' }]]))
    expect(task.position('in')).toBe(1)
    feed(task, log, 'in', 1)
    await task.process(10)
    expect((await task.prepareCommit()).records).toHaveLength(2)
  })

  test('a commit without anything new is empty', async () => {
    const task = taskOf(copyTopology())
    await task.init(new Map())
    expect((await task.prepareCommit()).empty).toBe(true)
    feed(task, log, 'in')
    await task.process(10)
    expect((await task.prepareCommit()).empty).toBe(false)
    await task.committed(new Map())
    expect((await task.prepareCommit()).empty).toBe(true)
  })

  test('records taken for sending before the commit are not in it again', async () => {
    const task = taskOf(copyTopology())
    await task.init(new Map())
    feed(task, log, 'in')
    await task.process(2)
    expect(task.outgoingBytes).toBeGreaterThan(0)
    expect(task.takeOutgoing()).toHaveLength(2)
    expect(task.outgoingBytes).toBe(0)
    await task.process(10)
    const commit = await task.prepareCommit()
    expect(commit.records).toHaveLength(1)
    expect(commit.offsets).toMatchObject([{ offset: 3 }])
  })

  test('a partition that is not among the inputs is refused', async () => {
    const task = taskOf(copyTopology())
    await task.init(new Map())
    const other = new DriverLog()
    other.append({ topic: 'other', partition: 0, key: null, value: null, timestamp: 0 })
    expect(() => feed(task, other, 'other')).toThrow('task 0_0 does not read other-0')
  })
})

test('counts what came to each node, and what its stores hold', async () => {
  const builder = new StreamsBuilder()
  builder
    .stream('in', texts)
    .filter((value) => value !== '1', { name: 'not-one' })
    .groupByKey()
    .count({ store: 'counts', name: 'count' })
    .toStream({ name: 'changes' })
    .to('out', { value: int64, name: 'sink' })
  const rows = new MemoryStore()
  const [subtopology] = builder.build().subtopologies
  const [spec] = subtopology?.stores ?? []
  if (subtopology === undefined || spec === undefined) throw new Error('there is no store')
  const store = openTaskStore(spec, rows, { changelogOffset: 0 })
  const task = taskOf(builder.build(), { stores: new Map([['counts', store]]) })
  await task.init(new Map())
  feed(task, logOf([0, 1, 2].map((i) => ({ topic: 'in', value: `${i}`, timestamp: i }))), 'in')
  await task.process(10)
  await task.prepareCommit()
  expect(Object.fromEntries(task.nodes.map(({ name, records }) => [name, records]))).toMatchObject({
    'not-one': 3,
    count: 2,
    sink: 1,
  })
  expect(task.nodes[0]?.records).toBe(3)
  expect(task.storesInMemory).toMatchObject([{ name: 'counts', rows: 1, reads: 1, loads: 0 }])
  await task.close()
})

describe('several inputs', () => {
  function mergeTopology(): Topology {
    const builder = new StreamsBuilder()
    builder.stream('left', texts).merge(builder.stream('right', texts)).to('out', texts)
    return builder.build()
  }

  const log = logOf([
    { topic: 'left', value: 'l10', timestamp: 10 },
    { topic: 'left', value: 'l30', timestamp: 30 },
    { topic: 'right', value: 'r5', timestamp: 5 },
    { topic: 'right', value: 'r20', timestamp: 20 },
    { topic: 'right', value: 'r40', timestamp: 40 },
  ])

  test('the record with the smallest timestamp comes first', async () => {
    const task = taskOf(mergeTopology())
    await task.init(new Map())
    feed(task, log, 'left')
    feed(task, log, 'right')
    await task.process(3)
    const commit = await task.prepareCommit()
    expect(unpacked(commit.records).map(({ value }) => value?.toString())).toEqual(['r5', 'l10', 'r20'])
    expect(commit.offsets).toMatchObject([
      { topic: 'left', offset: 1 },
      { topic: 'right', offset: 2 },
    ])
    expect(task.streamTimeMs).toBe(20)
  })

  test('an input whose next records are at the broker is waited for', async () => {
    const task = taskOf(mergeTopology())
    await task.init(new Map())
    const first = log.fetch({ topic: 'left', partition: 0 }, 0)
    if (first === undefined) throw new Error('nothing was fetched')
    task.add({ ...first, highWatermark: 3, lastStableOffset: 3 })
    feed(task, log, 'right')
    await task.process(10)
    const commit = await task.prepareCommit()
    expect(unpacked(commit.records).map(({ value }) => value?.toString())).toEqual(['r5', 'l10', 'r20', 'l30'])
    const longer = logOf(['l10', 'l30', 'l35'].map((value, i) => ({ topic: 'left', value, timestamp: 10 + i * 10 })))
    feed(task, longer, 'left', 2)
    await task.process(10)
    expect(unpacked((await task.prepareCommit()).records).map(({ value }) => value?.toString())).toEqual(['l35', 'r40'])
  })
})

describe('watermarks', () => {
  const partitions = 2
  const builder = new StreamsBuilder()
  builder
    .stream('in', texts)
    .groupBy((value) => value, { key: utf8 })
    .preAggregate({ name: 'partials', windowSizeMs: 10, aggregator: count() })
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
    .merge()
    .toStream()
    .to('out', { value: int64 })
  const topology = builder.build()

  function marksIn(driver: TopologyDriver) {
    return driver
      .bytesOf('test-partials-repartition')
      .filter(({ key }) => key === null)
      .map(({ value, partition }) => ({ to: partition, ...decodeWatermark(value ?? Buffer.alloc(0), 0, 17) }))
  }

  test('are written behind the data, to every partition, when they have changed', async () => {
    const driver = new TopologyDriver(topology, { partitions, commit: 'manual' })
    await driver.pipe('in', texts, { key: null, value: 'a', timestamp: 5, partition: 1 })
    await driver.commit()
    const mark = { subtopology: 0, partition: 1, streamTimeMs: 5, idle: false }
    expect(marksIn(driver)).toEqual([
      { to: 0, ...mark },
      { to: 1, ...mark },
    ])
    await driver.pipe('in', texts, { key: null, value: 'a', timestamp: 3, partition: 1 })
    await driver.commit()
    expect(marksIn(driver)).toHaveLength(2)
    await driver.pipe('in', texts, { key: null, value: 'a', timestamp: 7, partition: 1 })
    await driver.commit()
    expect(marksIn(driver)).toHaveLength(4)
  })

  test('say once that a task is idle, also one that never had a record', async () => {
    const driver = new TopologyDriver(topology, { partitions, commit: 'manual' })
    await driver.pipe('in', texts, { key: null, value: 'a', timestamp: 5, partition: 1 })
    await driver.idle()
    await driver.idle()
    expect(marksIn(driver).filter(({ to }) => to === 0)).toEqual([
      { to: 0, subtopology: 0, partition: 0, streamTimeMs: -1, idle: true },
      { to: 0, subtopology: 0, partition: 1, streamTimeMs: 5, idle: true },
    ])
    await driver.crash()
    await driver.idle()
    expect(marksIn(driver).filter(({ to, partition }) => to === 0 && partition === 1)).toHaveLength(1)
  })
})

describe('records that fail', () => {
  const numbers = { key: utf8, value: json<{ n: number }>() }

  function numbersTopology(): Topology {
    const failing = new StreamsBuilder()
    failing
      .stream('in', numbers)
      .mapValues(({ n }) => {
        if (n < 0) throw new Error('negative')
        return `${10 / n}`
      })
      .to('out', texts)
    return failing.build()
  }

  const bad = Buffer.from('not JSON')

  async function pipeThree(driver: TopologyDriver): Promise<void> {
    await driver.pipe('in', numbers, { key: 'a', value: { n: 5 }, timestamp: 1 })
    const headers = [{ key: 'trace', value: Buffer.from('x') }]
    await driver.pipeBytes('in', { key: Buffer.from('b'), value: bad, timestamp: 2, headers })
    await driver.pipe('in', numbers, { key: 'c', value: { n: 2 }, timestamp: 3 })
  }

  test('stop the task with code, place and cause when nothing else is said', async () => {
    const driver = new TopologyDriver(numbersTopology())
    const failure = await pipeThree(driver).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StreamsError)
    expect(failure).toMatchObject({ code: 'DESERIALIZATION', topic: 'in', partition: 0, offset: 1 })
    expect(String(failure)).toContain('the record at in-0 offset 1 could not be read')
  })

  test('are skipped and counted', async () => {
    const driver = new TopologyDriver(numbersTopology(), { onFailure: () => 'skip' })
    await pipeThree(driver)
    await driver.pipe('in', numbers, { key: 'd', value: { n: -1 }, timestamp: 4 })
    expect(driver.read('out', texts).map(({ value }) => value)).toEqual(['2', '5'])
    expect(driver.dropped).toEqual(
      new Map([
        ['undecodable', 1],
        ['failed', 1],
      ]),
    )
  })

  test('go to the dead-letter topic with their bytes, their headers and the reason', async () => {
    const policy: FailurePolicy = (stage) => (stage === 'deserialization' ? 'dead-letter' : 'fail')
    const driver = new TopologyDriver(numbersTopology(), { onFailure: policy })
    await pipeThree(driver)
    expect(driver.read('out', texts)).toHaveLength(2)
    const [letter] = driver.bytesOf('in.dlq')
    expect(letter).toMatchObject({ partition: 0, key: Buffer.from('b'), value: bad })
    // Its time is that of the failure, from which on the topic keeps it.
    expect(letter?.timestamp).toBe(driver.clock.nowMs())
    const headers = Object.fromEntries((letter?.headers ?? []).map(({ key, value }) => [key, value?.toString()]))
    expect(headers).toMatchObject({
      trace: 'x',
      '__streams.errors.exception': 'SyntaxError',
      '__streams.errors.topic': 'in',
      '__streams.errors.partition': '0',
      '__streams.errors.offset': '1',
      '__millrace.errors.timestamp': '2',
    })
    expect(headers['__streams.errors.message']).toContain('[DESERIALIZATION]')
  })

  test('on the way to a sink are its failure', async () => {
    const stages: string[] = []
    const to = new StreamsBuilder()
    const refusing = {
      ...utf8,
      write: (): Buffer => {
        throw new Error('too odd')
      },
    }
    to.stream('in', texts).to('out', { value: refusing })
    const driver = new TopologyDriver(to.build(), {
      onFailure: (stage, error) => {
        stages.push(`${stage} ${error.message}`)
        return 'skip'
      },
    })
    await driver.pipe('in', texts, { key: 'a', value: 'b', timestamp: 0 })
    expect(stages).toEqual([
      'production [SERIALIZATION] sink "KSTREAM-SINK-0000000001" could not write a value for topic "out": too odd',
    ])
  })

  test('a partition that does not exist is refused', async () => {
    const to = new StreamsBuilder()
    to.stream('in', texts).to('out', { partitionOf: (_, partitions) => partitions })
    const driver = new TopologyDriver(to.build(), { partitions: 3 })
    await expect(driver.pipe('in', texts, { key: 'a', value: 'b', timestamp: 0 })).rejects.toThrow(
      'partitionOf gave 3; topic "out" has partitions 0 to 2',
    )
  })
})

describe('what comes in', () => {
  test('records without a value are dropped and counted, unless the serde takes them', async () => {
    for (const [value, seen] of [
      [utf8, 0],
      [nullable(utf8), 1],
    ] as const) {
      const passing = new StreamsBuilder()
      passing.stream('in', { key: utf8, value }).to('out', texts)
      const driver = new TopologyDriver(passing.build())
      await driver.pipe('in', texts, { key: 'a', value: null, timestamp: 0 })
      expect(driver.read('out', texts)).toHaveLength(seen)
      expect(driver.dropped.get('null-value') ?? 0).toBe(1 - seen)
    }
  })

  test('event time comes from the value; a negative one is dropped and counted, one that is no number fails', async () => {
    const timed = new StreamsBuilder()
    timed.stream('in', { ...texts, timestampOf: (value) => Number(value) }).to('out')
    const driver = new TopologyDriver(timed.build())
    await driver.pipe('in', texts, { key: 'a', value: '70', timestamp: 1 })
    await driver.pipe('in', texts, { key: 'a', value: '-70', timestamp: 1 })
    expect(driver.read('out', texts).map(({ timestamp }) => timestamp)).toEqual([70])
    expect(driver.dropped).toEqual(new Map([['negative-timestamp', 1]]))
    await expect(driver.pipe('in', texts, { key: 'a', value: 'soon', timestamp: 1 })).rejects.toThrow(
      'its timestamp must be a whole number of milliseconds, not NaN',
    )
  })
})

test('no record of a new window waits for rows: how new those in the store are is known before the first one comes', async () => {
  const windowed = new StreamsBuilder()
  windowed
    .stream('in', texts)
    .groupByKey()
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
    .aggregate(count(), { store: 'counts', retentionMs: 10 })
  const topology = windowed.build()
  const spec = topology.subtopologies[0]?.stores[0]
  if (spec === undefined) throw new Error('the topology has no store')
  const kept = new MemoryStore()
  const asked: string[] = []
  // As on a disk: without `peek`, rows have to be loaded.
  const rows: ByteStore = {
    multiGet: (keys) => kept.multiGet(keys),
    range: (from, to, limit) => kept.range(from, to, limit),
    lastKey: () => {
      asked.push('last key')
      return kept.lastKey()
    },
    changelogOffset: () => kept.changelogOffset(),
    write: (changes, offset) => kept.write(changes, offset),
    wipe: () => kept.wipe(),
    close: () => kept.close(),
  }
  const store = openTaskStore(spec, rows, { changelogOffset: 0 })
  const task = taskOf(topology, { stores: new Map([['counts', store]]) })
  await task.init(new Map())
  expect(asked).toEqual(['last key'])
  expect(store.has(windowRowKey(Buffer.from('k'), 20))).toBe(true)
  feed(task, logOf([{ topic: 'in', value: 'x', timestamp: 25 }]), 'in')
  await task.process(1)
  expect(asked).toEqual(['last key'])
  expect(store.stats).toMatchObject({ reads: 1, loads: 0 })
})
