import { StreamsBuilder, utf8 } from '@millrace/streams'
import { FakeBroker, TopologyDriver } from '@millrace/streams/testing'
import { describe, expect, it } from 'vitest'
import type { ShapeName } from './event-shape.ts'
import { ensureInput, partitionCount } from './input-topic.ts'
import { byType, byUser, general } from './topologies.ts'
import { differenceOf, expectedTotals, type RowKey, readTotals } from './totals.ts'

const quiet = () => {}

/** What a program makes of an input, read back as the bench reads it. */
async function resultsOf(programOf: typeof byType, shape: ShapeName, count: number) {
  const broker = new FakeBroker()
  const input = await ensureInput(broker, { shape, count, report: quiet })
  const records = broker.read(input)
  const topology = programOf({ input, output: 'results' })
  const driver = new TopologyDriver(topology, { partitions: partitionCount, commit: 'manual' })
  for (const record of records) await driver.pipeBytes(input, record)
  await driver.commit()
  await driver.commit()
  broker.createTopic('results', partitionCount)
  broker.append(driver.bytesOf('results'))
  await driver.close()
  return readTotals(broker, 'results', partitionCount)
}

describe('every program comes to the totals of its input', () => {
  it.each<[string, typeof byType, RowKey]>([
    ['byType', byType, 'type'],
    ['byUser', byUser, 'user'],
    ['general', general, 'type'],
  ])('%s', async (_name, programOf, by) => {
    for (const shape of ['random-users', 'new-rows', 'one-window'] as const) {
      const found = await resultsOf(programOf, shape, 300)
      expect(differenceOf(found, expectedTotals(shape, 300, by)), shape).toBeUndefined()
      expect(differenceOf(found, expectedTotals(shape, 301, by)), shape).toContain('a count of 300 in place of 301')
    }
  })
})

describe('an input', () => {
  it('is filled once, and again when it is not whole', async () => {
    const broker = new FakeBroker()
    const said: string[] = []
    const options = { shape: 'new-rows', count: 50, report: (line: string) => said.push(line) } as const
    const topic = await ensureInput(broker, options)
    const first = broker.read(topic)
    await ensureInput(broker, options)
    expect(said).toHaveLength(1)
    expect(first).toHaveLength(50)
    broker.append([{ topic, partition: 0, key: null, value: null, timestamp: 0 }])
    await ensureInput(broker, options)
    expect(said).toHaveLength(2)
    expect(broker.read(topic).map(({ value }) => value?.subarray(0, 60))).toEqual(
      first.map(({ value }) => value?.subarray(0, 60)),
    )
  })

  it('has its events where a default partitioner puts them', async () => {
    const broker = new FakeBroker()
    const topic = await ensureInput(broker, { shape: 'random-users', count: 200, report: quiet })
    const builder = new StreamsBuilder()
    builder.stream(topic, { key: utf8, value: utf8 }).to('same')
    const driver = new TopologyDriver(builder.build(), { partitions: partitionCount })
    for (const { partition, ...record } of broker.read(topic)) await driver.pipeBytes(topic, record)
    const partitions = (records: readonly { readonly key: Buffer | null; readonly partition: number }[]) =>
      new Map(records.map(({ key, partition }) => [key?.toString(), partition]))
    expect(partitions(driver.bytesOf('same'))).toEqual(partitions(broker.read(topic)))
    await driver.close()
  })
})
