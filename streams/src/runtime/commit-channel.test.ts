import { beforeEach, expect, it } from 'vitest'
import type { GroupMember } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import { type CommitChannel, openCommitChannel } from './commit-channel.ts'

const out = { topic: 'out', partition: 0 }
const record = { ...out, key: null, value: Buffer.from('x'), timestamp: 1 }

let broker: FakeBroker

beforeEach(() => {
  broker = new FakeBroker()
  broker.createTopic('out', 1)
})

async function open(member?: GroupMember): Promise<CommitChannel> {
  const of = { broker, guarantee: 'exactly_once', clientId: 'app', transactionalId: 'app' } as const
  return openCommitChannel({ ...of, transactionTimeoutMs: 60_000, member: member ?? (await outsider()) })
}

/** Of the group's members, but in no generation yet. */
function outsider(): Promise<GroupMember> {
  return broker.openGroupMember({ clientId: 'app', groupId: 'app', rebalance: 'cooperative' })
}

async function joined(): Promise<GroupMember> {
  const member = await outsider()
  await member.join(['out'], { onAssigned: async () => {}, onRevoked: async () => {}, onLost: async () => {} })
  return member
}

/** Offsets that readers of committed records are kept from. */
async function heldUp(): Promise<number> {
  const admin = await broker.openAdmin()
  const [end = 0] = (await admin.listOffsets([out], 'latest')).values()
  const [stable = 0] = (await admin.listOffsets([out], 'latestCommitted')).values()
  return end - stable
}

it('aborts what it gives up, so that nobody has to wait for its timeout', async () => {
  const channel = await open()
  await channel.send([record])
  expect(await heldUp()).toBe(1)
  await channel.close()
  expect(await heldUp()).toBe(0)
  expect(broker.read('out')).toEqual([])
})

it('aborts what the group refused', async () => {
  const channel = await open()
  await channel.send([record])
  await expect(channel.addOffsets([{ ...out, offset: 1, metadata: '' }])).rejects.toMatchObject({
    code: 'REBALANCED',
  })
  await channel.close()
  expect(await heldUp()).toBe(0)
})

it('leaves a transaction alone of which nobody knows whether it is committed', async () => {
  const channel = await open()
  await channel.send([record])
  broker.failNext('commit', { error: new StreamsError('OUTCOME_UNKNOWN', 'as asked'), applied: true })
  await expect(channel.commit()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  await channel.close()
  expect(broker.read('out')).toHaveLength(1)
})

it('takes nothing after it was closed: it would be in another transaction than what came before', async () => {
  const channel = await open()
  await channel.send([record])
  await channel.close()
  await expect(channel.send([record])).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(channel.commit()).rejects.toMatchObject({ code: 'CLOSED' })
  await channel.close()
  expect(broker.read('out', 'uncommitted')).toHaveLength(1)
})

it('has a join wait for what was sent before it, and not the open transaction for the join', async () => {
  const member = await joined()
  const other = await joined()
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const holding = other.inGeneration(() => held)
  const channel = await open(member)
  await channel.send([record])
  other.rejoin()
  await expect.poll(() => member.isJoining).toBe(true)
  expect(channel.isHolding).toBe(true)
  await channel.addOffsets([{ ...out, offset: 1, metadata: '' }])
  expect([channel.isHolding, member.isJoining]).toEqual([false, true])
  await channel.commit()
  release()
  await holding
  await expect.poll(() => member.isJoining).toBe(false)
  expect((await member.committed([out])).size).toBe(1)
  await channel.close()
})

it('lets a join go on when it gives up what was sent', async () => {
  const member = await joined()
  const channel = await open(member)
  await channel.send([record])
  member.rejoin()
  await expect.poll(() => member.isJoining).toBe(true)
  await channel.close()
  await expect.poll(() => member.isJoining).toBe(false)
})

it('waits for a join that was there before its sends', async () => {
  const member = await joined()
  const other = await joined()
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const holding = other.inGeneration(() => held)
  const channel = await open(member)
  other.rejoin()
  await expect.poll(() => member.isJoining).toBe(true)
  await channel.send([record])
  expect(channel.isHolding).toBe(false)
  const adding = channel.addOffsets([{ ...out, offset: 1, metadata: '' }])
  release()
  await Promise.all([holding, adding])
  await channel.commit()
  expect(broker.read('out')).toHaveLength(1)
  await channel.close()
})
