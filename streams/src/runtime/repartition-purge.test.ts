import { expect, it } from 'vitest'
import { silentLogger } from '../core/logger.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { RepartitionPurge } from './repartition-purge.ts'

async function setUp() {
  const broker = new FakeBroker()
  for (const topic of ['mine', 'source']) {
    broker.createTopic(topic, 1)
    broker.append(Array.from({ length: 10 }, () => ({ topic, partition: 0, key: null, value: null, timestamp: 1 })))
  }
  const clock = new ManualClock(0)
  const admin = await broker.openAdmin()
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: unknown, message: string) => void warnings.push(message) }
  const purge = new RepartitionPurge({ admin, clock, logger, topics: new Set(['mine']) })
  return { broker, clock, purge, warnings }
}

const at = (topic: string, offset: number) => ({ topic, partition: 0, offset, metadata: '' })

it('deletes what is processed of its topics alone, every half minute', async () => {
  const { broker, clock, purge } = await setUp()
  purge.committed([at('mine', 4), at('source', 4)])
  clock.advance(29_999)
  purge.committed([at('mine', 6)])
  await purge.settled()
  expect(broker.read('mine').length).toBe(10)
  clock.advance(1)
  purge.committed([])
  await purge.settled()
  expect(broker.read('mine').length).toBe(4)
  expect(broker.read('source').length).toBe(10)
})

it('goes on after a failure', async () => {
  const { broker, clock, purge, warnings } = await setUp()
  clock.advance(30_000)
  purge.committed([at('mine', 99)])
  await purge.settled()
  expect(warnings.length).toBe(1)
  clock.advance(30_000)
  purge.committed([at('mine', 9)])
  await purge.settled()
  expect(broker.read('mine').length).toBe(1)
})
