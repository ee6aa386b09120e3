import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Admin, Broker, Fetcher, GroupListener } from '../src/core/broker.ts'
import type { OutgoingRecord } from '../src/core/record.ts'
import { RecordCursor } from '../src/core/record-cursor.ts'
import { connectKafka } from '../src/kafka/index.ts'
import { apiKeys, type Fate, FaultProxy } from './fault-proxy.ts'
import { kafkaBrokers } from './kafka-brokers.ts'

/** The longest that recovery may take. */
const patienceMs = 40_000

describe('the Kafka adapter, when connections are lost', () => {
  let proxy: FaultProxy
  let stormy: Broker
  let calm: Broker
  let admin: Admin
  let names = 0

  beforeAll(async () => {
    const [host = '', port = ''] = (kafkaBrokers()[0] ?? '').split(':')
    proxy = new FaultProxy({ host, port: Number(port) })
    const through = await proxy.listen()
    calm = connectKafka({ brokers: kafkaBrokers(), clientId: 'calm' })
    stormy = connectKafka({ brokers: [`${through.host}:${through.port}`], clientId: 'stormy', reach: () => through })
    admin = await calm.openAdmin()
  })

  beforeEach(() => {
    proxy.decide = () => 'pass'
    proxy.isRefusing = false
  })

  afterAll(async () => {
    await admin.close()
    await proxy.close()
  })

  const unique = (prefix: string): string => `${prefix}-${process.pid}-${Date.now().toString(36)}-${++names}`

  const makeTopic = async (partitions = 1): Promise<string> => {
    const topic = unique('faults')
    await admin.createTopics([{ name: topic, partitions, replicationFactor: 1, config: {} }])
    return topic
  }

  const readAll = async (topic: string): Promise<readonly string[]> => {
    const end = (await admin.listOffsets([{ topic, partition: 0 }], 'latestCommitted')).get(`${topic}-0`) ?? 0
    const fetcher = await calm.openFetcher({ clientId: 'calm' })
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    const values = await readTo(fetcher, topic, end)
    await fetcher.close()
    return values
  }

  it('an idempotent producer writes everything once and in order', async () => {
    const topic = await makeTopic()
    const producer = await stormy.openProducer({ clientId: 'stormy' })
    const fates: readonly Fate[] = ['pass', 'loseAnswer', 'pass', 'loseRequest', 'pass', 'pass', 'loseAnswer']
    let produced = 0
    proxy.decide = (apiKey) =>
      apiKey === apiKeys.produce && produced < 60 ? (fates[produced++ % fates.length] ?? 'pass') : 'pass'
    const sends = []
    for (let i = 0; i < 300; i++) {
      sends.push(producer.send([record(topic, `${i}`)]))
      if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await Promise.all(sends)
    await producer.close()
    expect(produced).toBeGreaterThan(10)
    expect(await readAll(topic)).toEqual(Array.from({ length: 300 }, (_, i) => `${i}`))
  })

  it('a fetcher reads everything once and in order', async () => {
    const topic = await makeTopic()
    const producer = await calm.openProducer({ clientId: 'calm' })
    for (let i = 0; i < 200; i++) await producer.send([record(topic, `${i}`.padEnd(500, '.'))])
    await producer.close()
    const fetcher = await stormy.openFetcher({ clientId: 'stormy', partitionBytesMax: 5_000 })
    let fetches = 0
    proxy.decide = (apiKey) => (apiKey === apiKeys.fetch && ++fetches % 4 === 3 && fetches < 40 ? 'loseAnswer' : 'pass')
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    expect(await readTo(fetcher, topic, 200)).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`.padEnd(500, '.')))
    expect(fetches).toBeGreaterThan(10)
    await fetcher.close()
  })

  it.each([
    ['commit', apiKeys.endTxn, 'loseAnswer', ['x']],
    ['commit', apiKeys.endTxn, 'loseRequest', []],
    ['produce', apiKeys.produce, 'loseAnswer', []],
    ['offsets', apiKeys.txnOffsetCommit, 'loseAnswer', []],
  ] as const)(
    'a transactional producer ends when the answer to its %s (%i) is lost (%s), and its successor finds it whole or not at all',
    async (_what, key, fate, expected) => {
      const topic = await makeTopic()
      const member = await calm.openGroupMember({ clientId: 'calm', groupId: unique('group') })
      await member.join([topic], quiet)
      const metadata = member.metadata()
      if (metadata === undefined) return expect.unreachable('joined')
      const transactionalId = unique('tx')
      const producer = await stormy.openTransactionalProducer({ clientId: 'stormy', transactionalId })
      proxy.decide = (apiKey) => (apiKey === key ? fate : 'pass')
      const transaction = async () => {
        await producer.send([record(topic, 'x')])
        await producer.sendOffsets(metadata, [{ topic, partition: 0, offset: 1, metadata: 'with x' }])
        await producer.commit()
      }
      await expect(transaction()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
      proxy.decide = () => 'pass'
      for (const again of [
        () => producer.send([record(topic, 'y')]),
        () => producer.commit(),
        () => producer.abort(),
      ]) {
        await expect(again()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
      }
      await producer.close()
      const successor = await stormy.openTransactionalProducer({ clientId: 'stormy', transactionalId })
      const committed = (await member.committed([{ topic, partition: 0 }])).get(`${topic}-0`)
      expect(committed).toEqual(expected.length === 0 ? undefined : { offset: 1, metadata: 'with x' })
      await successor.send([record(topic, 'after')])
      await successor.commit()
      await expect.poll(() => readAll(topic), { timeout: patienceMs }).toEqual([...expected, 'after'])
      await successor.close()
      await member.close()
    },
  )

  it('a group member keeps its partitions, and commits', async () => {
    const topic = await makeTopic()
    const calls: string[] = []
    const member = await stormy.openGroupMember({ clientId: 'stormy', groupId: unique('group') })
    await member.join([topic], {
      onAssigned: async () => void calls.push('assigned'),
      onRevoked: async () => void calls.push('revoked'),
      onLost: async () => void calls.push('lost'),
    })
    let commits = 0
    proxy.decide = (apiKey) => {
      if (apiKey === apiKeys.heartbeat) return 'loseAnswer'
      return apiKey === apiKeys.offsetCommit && ++commits % 2 === 1 ? 'loseAnswer' : 'pass'
    }
    for (let offset = 1; offset <= 3; offset++)
      await member.commit([{ topic, partition: 0, offset, metadata: `${offset}` }])
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    proxy.decide = () => 'pass'
    expect((await member.committed([{ topic, partition: 0 }])).get(`${topic}-0`)).toEqual({ offset: 3, metadata: '3' })
    expect(calls).toEqual(['assigned'])
    await member.close()
  })

  it.each(['loseRequest', 'loseAnswer'] as const)(
    'a cooperative group divides itself when every other join and assignment meets %s, and nobody loses what stays',
    async (fate) => {
      const topic = await makeTopic(2)
      const groupId = unique('group')
      const calls: string[] = []
      const has = { stormy: new Set<number>(), calm: new Set<number>() }
      const follow = (who: keyof typeof has): GroupListener => ({
        onAssigned: async (partitions) => {
          for (const { partition } of partitions) has[who].add(partition)
        },
        onRevoked: async (partitions) => {
          calls.push(`revoked ${who} ${partitions.length}`)
          for (const { partition } of partitions) has[who].delete(partition)
        },
        onLost: async () => void calls.push(`lost ${who}`),
      })
      const options = { groupId, rebalance: 'cooperative' } as const
      const counts = new Map<number, number>()
      proxy.decide = (apiKey) => {
        if (apiKey !== apiKeys.joinGroup && apiKey !== apiKeys.syncGroup) return 'pass'
        const count = (counts.get(apiKey) ?? 0) + 1
        counts.set(apiKey, count)
        return count % 2 === 0 ? fate : 'pass'
      }
      const first = await stormy.openGroupMember({ clientId: 'stormy', groupInstanceId: 'first', ...options })
      await first.join([topic], follow('stormy'))
      const second = await calm.openGroupMember({ clientId: 'calm', ...options })
      await second.join([topic], follow('calm'))
      await expect.poll(() => [...has.stormy, ...has.calm].sort(), { timeout: patienceMs }).toEqual([0, 1])
      await expect.poll(() => has.calm.size, { timeout: patienceMs }).toBe(1)
      await first.commit([...has.stormy].map((partition) => ({ topic, partition, offset: 1, metadata: '' })))
      expect(calls).toEqual(['revoked stormy 1'])
      expect(Math.min(...counts.values())).toBeGreaterThan(1)
      await second.close()
      await first.close({ leave: true })
    },
  )

  it('a member of a cooperative group that was silent for too long loses what it had, commits nothing, and begins anew', async () => {
    const topic = await makeTopic(2)
    const groupId = unique('group')
    const calls: string[] = []
    const follow = (who: string): GroupListener => ({
      onAssigned: async (partitions) => {
        if (partitions.length > 0) calls.push(`${who} has ${partitions.length} more`)
      },
      onRevoked: async (partitions) => void calls.push(`${who} gives up ${partitions.length}`),
      onLost: async (partitions) => void calls.push(`${who} has lost ${partitions.length}`),
    })
    // The shortest session that brokers allow by default.
    const options = { groupId, rebalance: 'cooperative', sessionTimeoutMs: 6_000 } as const
    const silent = await stormy.openGroupMember({ clientId: 'stormy', ...options })
    await silent.join([topic], follow('silent'))
    const producer = await calm.openTransactionalProducer({ clientId: 'calm', transactionalId: unique('tx') })
    proxy.decide = (apiKey) => (apiKey === apiKeys.heartbeat ? 'loseRequest' : 'pass')
    const heir = await calm.openGroupMember({ clientId: 'calm', ...options })
    await heir.join([topic], follow('heir'))
    await expect.poll(() => calls, { timeout: patienceMs }).toEqual(['silent has 2 more', 'heir has 2 more'])
    const offsets = [{ topic, partition: 0, offset: 1, metadata: '' }]
    const committing = silent.inGeneration((group) => producer.sendOffsets(group, offsets))
    await expect(committing).rejects.toMatchObject({ code: 'REBALANCED' })
    proxy.decide = () => 'pass'
    await expect
      .poll(() => calls, { timeout: patienceMs })
      .toEqual(['silent has 2 more', 'heir has 2 more', 'silent has lost 2', 'heir gives up 1', 'silent has 1 more'])
    await silent.commit(offsets)
    expect((await heir.committed(offsets)).size).toBe(1)
    await producer.close()
    await silent.close()
    await heir.close()
  })

  it('a group member outlives a connection that brings no answer any more', async () => {
    const topic = await makeTopic()
    const calls: string[] = []
    const options = { groupId: unique('group'), rebalance: 'cooperative', sessionTimeoutMs: 6_000 } as const
    const member = await stormy.openGroupMember({ clientId: 'stormy', ...options })
    await member.join([topic], {
      onAssigned: async () => void calls.push('assigned'),
      onRevoked: async () => void calls.push('revoked'),
      onLost: async () => void calls.push('lost'),
    })
    let beats = 0
    proxy.decide = (apiKey) => {
      if (apiKey !== apiKeys.heartbeat) return 'pass'
      return ++beats === 2 ? 'silence' : 'pass'
    }
    // Longer than its session lasts.
    await expect.poll(() => beats, { timeout: patienceMs }).toBeGreaterThan(14)
    await member.commit([{ topic, partition: 0, offset: 1, metadata: '' }])
    expect(calls).toEqual(['assigned'])
    await member.close()
  })

  it('everything says so when no broker can be reached, and works again when one can', async () => {
    const topic = await makeTopic()
    const producer = await stormy.openProducer({ clientId: 'stormy', deliveryTimeoutMs: 1_500 })
    const fetcher = await stormy.openFetcher({ clientId: 'stormy' })
    fetcher.assign([{ topic, partition: 0, offset: 0 }])
    await producer.send([record(topic, 'before')])
    expect(await readTo(fetcher, topic, 1)).toEqual(['before'])
    proxy.isRefusing = true
    proxy.cut()
    await expect(producer.send([record(topic, 'never')])).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE', topic })
    expect(await fetcher.poll(100)).toEqual([])
    proxy.isRefusing = false
    await expect
      .poll(
        () =>
          producer.send([record(topic, 'after')]).then(
            () => true,
            () => false,
          ),
        { timeout: patienceMs },
      )
      .toBe(true)
    expect((await readTo(fetcher, topic, 2)).at(-1)).toBe('after')
    await producer.close()
    await fetcher.close()
  })
})

const quiet: GroupListener = { onAssigned: async () => {}, onRevoked: async () => {}, onLost: async () => {} }

function record(topic: string, value: string): OutgoingRecord {
  return { topic, partition: 0, key: null, value: Buffer.from(value), timestamp: Date.now() }
}

/** The values from the fetcher's position to `end`. */
async function readTo(fetcher: Fetcher, topic: string, end: number): Promise<readonly string[]> {
  const values: string[] = []
  const cursor = new RecordCursor()
  const deadlineMs = Date.now() + patienceMs
  while ((fetcher.position({ topic, partition: 0 }) ?? 0) < end) {
    if (Date.now() > deadlineMs) throw new Error(`only ${values.length} records within ${patienceMs} ms`)
    for (const batches of await fetcher.poll(200)) {
      cursor.reset(batches)
      while (cursor.next()) values.push(cursor.bytes.toString('utf8', cursor.valueStart, cursor.valueEnd))
    }
  }
  return values
}
