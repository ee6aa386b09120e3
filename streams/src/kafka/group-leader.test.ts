import { describe, expect, it } from 'vitest'
import { type LogFields, silentLogger } from '../core/logger.ts'
import type { Joined } from './group-coordinator.ts'
import { GroupLeader } from './group-leader.ts'
import { decodeAssignment, encodeSubscription } from './group-protocol.ts'
import { decodeDivision, encodeReport } from './group-user-data.ts'

const partitionCount = 4
const leader1 = { leaderId: 1, leaderEpoch: 0 }

function leaderWith(rebalanceTimeoutMs = 60_000, unknownTimes = 0, partitions = partitionCount) {
  const topic = { name: 't', id: '', partitions: Array.from({ length: partitions }, () => leader1) }
  let asked = 0
  const warnings: LogFields[] = []
  const leader = new GroupLeader({
    cluster: { refresh: async () => new Map(asked++ < unknownTimes ? [] : [['t', topic]]) },
    groupId: 'g',
    strategy: 'same-number',
    rebalance: 'cooperative',
    standbys: 0,
    rebalanceTimeoutMs,
    logger: { ...silentLogger, warn: (fields) => void warnings.push(fields) },
  })
  return { leader, warnings }
}

function joinedBy(members: readonly { readonly memberId: string; readonly endpoint: string }[]): Joined {
  return {
    errorCode: 0,
    generationId: 7,
    memberId: 'a',
    isLeader: true,
    skipAssignment: false,
    members: members.map(({ memberId, endpoint }) => ({
      memberId,
      groupInstanceId: null,
      subscription: encodeSubscription({
        topics: ['t'],
        owned: [],
        generationId: -1,
        userData: encodeReport({ endpoint, warm: undefined, standbys: [] }),
      }),
    })),
  }
}

function divisionOf(bytes: Buffer | undefined) {
  const { partitions, userData } = decodeAssignment(bytes ?? Buffer.alloc(0))
  return { partitions, ...decodeDivision(userData ?? Buffer.alloc(0)) }
}

describe('GroupLeader', () => {
  it('tells each member its share, and all of them the same view', async () => {
    const { leader } = leaderWith()
    const joined = joinedBy([
      { memberId: 'a', endpoint: 'http://a:1' },
      { memberId: 'b', endpoint: 'http://b:1' },
    ])
    const divided = await leader.divide(joined)
    const [a, b] = [divisionOf(divided.get('a')), divisionOf(divided.get('b'))]
    expect(a.partitions.map(({ partition }) => partition)).toEqual([0, 2])
    expect(a.view?.generationId).toBe(7)
    expect(a.view?.members.map(({ endpoint, partitions }) => [endpoint, partitions])).toEqual([
      ['http://a:1', a.partitions],
      ['http://b:1', b.partitions],
    ])
    expect(b.view).toEqual(a.view)
  })

  it('asks again for a topic that a broker does not know yet', async () => {
    const { leader } = leaderWith(60_000, 2)
    const divided = await leader.divide(joinedBy([{ memberId: 'a', endpoint: 'http://a:1' }]))
    expect(divisionOf(divided.get('a')).partitions).toHaveLength(partitionCount)
  })

  it('watches the topics of a division that it found when it came back', async () => {
    const joined = joinedBy([
      { memberId: 'a', endpoint: 'http://a:1' },
      { memberId: 'b', endpoint: 'http://b:1' },
    ])
    const divided = await leaderWith().leader.divide(joined)
    const assignment = divided.get('a') ?? expect.unreachable()
    const same = leaderWith().leader
    await same.takeOver(joined, assignment)
    same.lead(true)
    expect(await same.wantsRebalance()).toBe(false)
    const grown = leaderWith(60_000, 0, partitionCount + 2).leader
    await grown.takeOver(joined, assignment)
    grown.lead(true)
    expect(await grown.wantsRebalance()).toBe(true)
    grown.resign()
    expect(await grown.wantsRebalance()).toBe(false)
  })

  it('divides subscriptions without a report', async () => {
    const { leader } = leaderWith()
    const [member] = joinedBy([{ memberId: 'a', endpoint: '' }]).members
    if (member === undefined) expect.unreachable()
    const subscription = encodeSubscription({ topics: ['t'], owned: [], generationId: -1, userData: null })
    const divided = await leader.divide({ ...joinedBy([]), members: [{ ...member, subscription }] })
    expect(divisionOf(divided.get('a')).view?.members[0]?.endpoint).toBeNull()
  })

  it('leaves the view out, and says so, when all of them would not fit into the record', async () => {
    const { leader, warnings } = leaderWith()
    const members = Array.from({ length: 100 }, (_, at) => ({
      memberId: `m${at}`,
      endpoint: `http://${'h'.repeat(60)}`,
    }))
    const divided = await leader.divide(joinedBy(members))
    expect(divisionOf(divided.get('m1')).view).toBeUndefined()
    expect([...divided.values()].flatMap((bytes) => decodeAssignment(bytes).partitions)).toHaveLength(4)
    expect(warnings).toMatchObject([{ group: 'g', members: 100 }])
  })

  it('has the group join again when what was given up stays with nobody for too long', async () => {
    const { leader } = leaderWith(-1)
    expect(await leader.wantsRebalance()).toBe(false)
    leader.lead(true)
    expect(await leader.wantsRebalance()).toBe(false)
    leader.lead(false)
    expect(await leader.wantsRebalance()).toBe(true)
    leader.resign()
    expect(await leader.wantsRebalance()).toBe(false)
    const patient = leaderWith().leader
    patient.lead(false)
    expect(await patient.wantsRebalance()).toBe(false)
  })
})
