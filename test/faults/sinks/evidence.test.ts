import { expect, it } from 'vitest'
import { collectEvidence } from './evidence.ts'
import { planFaults } from './fault-plan.ts'
import type { FaultRecord } from './fault-runner.ts'

const plan = planFaults(1, true)

/** What the faults of the plan look like when all have hit. */
const hits: readonly FaultRecord[] = plan.map(({ fault }): FaultRecord => {
  const record = { atMs: 0, note: '' }
  if (fault.kind === 'storm') return { ...record, what: 'storm', on: 'both sinks', moment: undefined, rebalances: 8 }
  const server = fault.sink === 'mysql' ? 'mariadb' : 'clickhouse'
  if (fault.kind === 'kill') return { ...record, what: 'killed', on: `${fault.sink}-a`, moment: fault.at }
  if (fault.kind === 'database-kill') return { ...record, what: 'database-killed', on: server, moment: fault.at }
  if (fault.kind === 'answer-lost')
    return { ...record, what: 'answer-lost', on: `${fault.sink}-sink`, moment: 'before-answer' }
  return { ...record, what: fault.kind === 'database-slow' ? 'slow' : 'refusing', on: server, moment: undefined }
})

const missing = (faults: readonly FaultRecord[], repeated = 1) =>
  collectEvidence({
    plan,
    faults,
    isQuick: true,
    answeredAgain: repeated,
    takenOver: repeated,
    toldAgain: repeated,
  }).filter(({ found, needed }) => found < needed)

it('is enough when every fault has hit', () => expect(missing(hits)).toEqual([]))

it('is not when nothing was repeated, or nothing was done at all', () => {
  expect(missing(hits, 0)).toHaveLength(3)
  expect(missing([], 0).length).toBe(collectEvidenceCount())
})

it('is not when faults have missed their moments', () => {
  const missed = hits.map((fault) => ({ ...fault, ...(fault.moment && { moment: 'anywhere' as const }) }))
  // Three moments of each sink, and one of each database.
  expect(missing(missed)).toHaveLength(8)
})

function collectEvidenceCount(): number {
  return collectEvidence({ plan, faults: [], isQuick: true, answeredAgain: 0, takenOver: 0, toldAgain: 0 }).length
}
