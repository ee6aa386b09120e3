import type { Evidence } from '../engine/evidence.ts'
import type { FaultRecord } from './fault-runner.ts'
import { evidenceNeeded } from './limits.ts'

/** What shows that the faults hit something. */
export interface EvidenceSources {
  readonly faults: readonly FaultRecord[]
  /** Inserts that ClickHouse answered more than once under the same token. */
  readonly repeatedInserts: number
  readonly isQuick: boolean
  /** Of each kind, that were planned. */
  readonly kills: number
}

/** Collects it: a run without enough of it shows nothing, whatever its checks say. */
export function collectEvidence({ faults, repeatedInserts, isQuick, kills }: EvidenceSources): readonly Evidence[] {
  const needed = isQuick ? evidenceNeeded.quick : evidenceNeeded.full
  const count = (holds: (fault: FaultRecord) => boolean) => faults.filter(holds).length
  const killedAt = (sink: string, moment: string) =>
    count((fault) => fault.what === 'killed' && fault.on.startsWith(sink) && fault.moment === moment)
  const on = (sink: string, what: FaultRecord['what']) =>
    count((fault) => fault.what === what && fault.on.startsWith(sink))
  return [
    { title: 'ClickHouse sinks killed', found: on('clickhouse-', 'killed'), needed: Math.max(kills, 1) },
    { title: 'MySQL sinks killed', found: on('mysql-', 'killed'), needed: Math.max(kills, 1) },
    {
      title: 'of these, between the intent and the insert',
      found: killedAt('clickhouse', 'before-write'),
      needed: 1,
    },
    {
      title: 'of these, between an insert that was done and its commit',
      found: killedAt('clickhouse', 'before-answer'),
      needed: needed.repeatedInserts,
    },
    {
      title: 'inserts that ClickHouse got again under the same token',
      found: repeatedInserts,
      needed: needed.repeatedInserts,
    },
    {
      title: 'killed after MySQL had committed, before they knew',
      found: killedAt('mysql', 'before-answer'),
      needed: needed.repeatedCommits,
    },
    { title: 'times that ClickHouse was killed', found: on('clickhouse', 'database-killed'), needed: needed.databases },
    { title: 'times that MariaDB was killed', found: on('mariadb', 'database-killed'), needed: needed.databases },
    {
      title: 'sinks that joined and left',
      found: count(({ what }) => what === 'joined-and-left'),
      needed: needed.joins,
    },
  ]
}
