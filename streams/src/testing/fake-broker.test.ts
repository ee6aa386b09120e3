import { describe, expect, it } from 'vitest'
import type { GroupListener } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
import { describeBrokerContract } from './contracts/broker.ts'
import { FakeBroker } from './fake-broker.ts'
import { ManualClock } from './manual-clock.ts'

describeBrokerContract('the fake broker', async () => {
  const broker = new FakeBroker()
  return {
    broker,
    close: async () => {},
  }
})

function record(value: string): OutgoingRecord {
  return { topic: 't', partition: 0, key: null, value: Buffer.from(value), timestamp: 1 }
}

function values(broker: FakeBroker): readonly (string | undefined)[] {
  return broker.read('t').map(({ value }) => value?.toString())
}

function listenerInto(calls: string[]): GroupListener {
  return {
    onAssigned: async (partitions) => void calls.push(`assigned ${partitions.length}`),
    onRevoked: async (partitions) => void calls.push(`revoked ${partitions.length}`),
    onLost: async (partitions) => void calls.push(`lost ${partitions.length}`),
  }
}

describe('a fake broker, for tests that want trouble,', () => {
  it('fails the next call as it is told, with the work done or not', async () => {
    const broker = new FakeBroker()
    broker.createTopic('t', 1)
    const producer = await broker.openProducer({ clientId: 'test' })
    const error = new StreamsError('BROKER_UNAVAILABLE', 'as asked')
    broker.failNext('send', { error, applied: false })
    broker.failNext('send', { error, applied: true })
    await expect(producer.send([record('not written')])).rejects.toBe(error)
    await expect(producer.send([record('written')])).rejects.toBe(error)
    await producer.send([record('told')])
    expect(values(broker)).toEqual(['written', 'told'])
  })

  it.each([
    [true, ['x', 'after']],
    [false, ['after']],
  ])('ends a transactional producer at an outcome that is lost (applied: %s)', async (applied, expected) => {
    const broker = new FakeBroker()
    broker.createTopic('t', 1)
    const options = { clientId: 'test', transactionalId: 'tx' }
    const producer = await broker.openTransactionalProducer(options)
    await producer.send([record('x')])
    broker.failNext('commit', { error: new StreamsError('OUTCOME_UNKNOWN', 'as asked'), applied })
    await expect(producer.commit()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await expect(producer.abort()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    const successor = await broker.openTransactionalProducer(options)
    await successor.send([record('after')])
    await successor.commit()
    expect(values(broker)).toEqual(expected)
  })

  it('lets an expelled member be a zombie until it notices', async () => {
    const broker = new FakeBroker()
    broker.createTopic('t', 2)
    const [zombieCalls, heirCalls]: [string[], string[]] = [[], []]
    const zombie = await broker.openGroupMember({ clientId: 'zombie', groupId: 'g' })
    const heir = await broker.openGroupMember({ clientId: 'heir', groupId: 'g' })
    await zombie.join(['t'], listenerInto(zombieCalls))
    await heir.join(['t'], listenerInto(heirCalls))
    const memberId = zombie.metadata()?.memberId ?? ''
    await broker.expireMember('g', memberId)
    expect(heirCalls).toEqual(['assigned 1', 'revoked 1', 'assigned 2'])
    expect(zombieCalls).toEqual(['assigned 2', 'revoked 2', 'assigned 1'])
    await expect(zombie.commit([{ topic: 't', partition: 0, offset: 1, metadata: '' }])).rejects.toMatchObject({
      code: 'REBALANCED',
    })
    expect(broker.committedOffset('g', { topic: 't', partition: 0 })).toBeUndefined()
    await broker.noticeExpiry('g', memberId)
    expect(zombieCalls.slice(3)).toEqual(['lost 1', 'assigned 1'])
    expect(broker.members('g')).toHaveLength(2)
  })

  it('refuses a cooperative zombie, and lets it lose what it had before it joins anew', async () => {
    const broker = new FakeBroker()
    broker.createTopic('t', 2)
    const [zombieCalls, heirCalls]: [string[], string[]] = [[], []]
    const options = { groupId: 'g', rebalance: 'cooperative' } as const
    const zombie = await broker.openGroupMember({ clientId: 'zombie', ...options })
    const heir = await broker.openGroupMember({ clientId: 'heir', ...options })
    await zombie.join(['t'], listenerInto(zombieCalls))
    await heir.join(['t'], listenerInto(heirCalls))
    const memberId = zombie.metadata()?.memberId ?? ''
    await broker.expireMember('g', memberId)
    expect(heirCalls).toEqual(['assigned 0', 'assigned 1', 'assigned 1'])
    expect(zombieCalls).toEqual(['assigned 2', 'revoked 1', 'assigned 0', 'assigned 0'])
    await expect(zombie.commit([{ topic: 't', partition: 0, offset: 1, metadata: '' }])).rejects.toMatchObject({
      code: 'REBALANCED',
    })
    await broker.noticeExpiry('g', memberId)
    expect(zombieCalls.slice(4)).toEqual(['lost 1', 'assigned 0', 'assigned 1'])
  })

  it('moves with a clock of its own: waits end, and transactions that are open for too long are aborted', async () => {
    const clock = new ManualClock(1_000)
    const broker = new FakeBroker({ clock })
    broker.createTopic('t', 1)
    const fetcher = await broker.openFetcher({ clientId: 'test' })
    fetcher.assign([{ topic: 't', partition: 0, offset: 0 }])
    const waiting = fetcher.poll(100)
    const producer = await broker.openTransactionalProducer({
      clientId: 'test',
      transactionalId: 'tx',
      transactionTimeoutMs: 500,
    })
    await producer.send([record('too late')])
    clock.advance(100)
    broker.tick()
    expect(await waiting).toEqual([])
    clock.advance(400)
    broker.tick()
    await expect(producer.commit()).rejects.toMatchObject({ code: 'FENCED' })
    expect(values(broker)).toEqual([])
  })
})
