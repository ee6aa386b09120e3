import { describe, expect, it } from 'vitest'
import { abortedTransactions, collectEvidence } from './evidence.ts'
import type { FaultRecord } from './fault-runner.ts'
import type { InstanceReport } from './instance-settings.ts'
import { verdictOf } from './run-report.ts'
import type { LoggedBatch } from './topic-log.ts'

function kill(state: string, producerId = 1n): FaultRecord {
  const transaction = { state, producerId, producerEpoch: 4 }
  return { atMs: 0, what: 'killed', instance: 'a', transaction, isKill: true, note: '' }
}

function marker(producerId: bigint, producerEpoch: number): LoggedBatch {
  return { topic: 't', partition: 0, baseOffset: 0, lastOffset: 0, producerId, producerEpoch, kind: 'abort' }
}

function found(faults: readonly FaultRecord[], markers: readonly LoggedBatch[], told: readonly InstanceReport[] = []) {
  const reports = <E extends InstanceReport['event']>(event: E) =>
    told.filter((report): report is Extract<InstanceReport, { event: E }> => report.event === event)
  const evidence = collectEvidence({ faults, instances: { all: [], reports }, markers }, { kills: 1, openKills: 1 })
  return evidence.map((each) => each.found)
}

describe('collectEvidence', () => {
  it('counts kills, those with an open transaction, and those whose abort is in the log', () => {
    const faults = [kill('Ongoing', 1n), kill('Ongoing', 2n), kill('CompleteCommit', 3n)]
    expect(found(faults, [marker(1n, 5)]).slice(0, 3)).toEqual([3, 2, 1])
  })

  it('takes no marker of another epoch or another producer', () => {
    expect(found([kill('Ongoing')], [marker(1n, 6), marker(2n, 4)])[2]).toBe(0)
    expect(found([kill('Ongoing')], [marker(1n, 4)])[2]).toBe(1)
  })

  it('counts a refusal only when it is the word of the broker', () => {
    const warned = (code: string, reason: string): InstanceReport => ({ event: 'warned', message: '', code, reason })
    const refused = (...told: readonly InstanceReport[]) => found([], [], told)[3]
    expect(refused(warned('REBALANCED', 'offsets: the broker answered UNKNOWN_MEMBER_ID'))).toBe(1)
    expect(refused(warned('REBALANCED', 'this member is not in its group at the moment'))).toBe(0)
    expect(refused(warned('BROKER_UNAVAILABLE', 'the broker answered NOT_LEADER_OR_FOLLOWER'))).toBe(0)
  })
})

it('counts a transaction once, however many markers it has', () => {
  expect(abortedTransactions([marker(1n, 5), marker(1n, 5), marker(1n, 7), marker(2n, 5)])).toBe(3)
})

describe('verdictOf', () => {
  const check = (broken: readonly string[]) => ({ title: '', looked: '', broken })
  const evidence = (count: number) => ({ title: '', found: count, needed: 1 })

  it.each([
    ['passed', [], 1],
    ['invalid', [], 0],
    ['failed', ['a difference'], 1],
    ['failed', ['a difference'], 0],
  ] as const)('is %s with %j broken and %i of 1 found', (verdict, broken, count) => {
    expect(verdictOf({ checks: [check([]), check(broken)], evidence: [evidence(count)] })).toBe(verdict)
  })
})
