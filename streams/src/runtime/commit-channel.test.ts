import { beforeEach, expect, it } from 'vitest'
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

function open(): Promise<CommitChannel> {
  const of = { broker, guarantee: 'exactly_once', clientId: 'app', transactionalId: 'app' } as const
  return openCommitChannel({ ...of, transactionTimeoutMs: 60_000 })
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
  const member = await broker.openGroupMember({ clientId: 'app', groupId: 'app' })
  await channel.send([record])
  await expect(channel.addOffsets(member, [{ ...out, offset: 1, metadata: '' }])).rejects.toMatchObject({
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
