import type { Evidence } from '../engine/evidence.ts'
import { countFaults, type KillMoment, type PlannedFault, type SinkKind, sinkKinds } from './fault-plan.ts'
import type { FaultRecord } from './fault-runner.ts'
import { evidenceNeeded, hitsNeeded } from './limits.ts'

/** What shows that the faults hit something. */
export interface EvidenceSources {
  readonly plan: readonly PlannedFault[]
  readonly faults: readonly FaultRecord[]
  /** Inserts that ClickHouse answered more than once under the same token. */
  readonly answeredAgain: number
  /** Inserts that one process began and another did, under the same token. */
  readonly takenOver: number
  /** Leads whose outcome was told more than once: who came after found them stored. */
  readonly toldAgain: number
  readonly isQuick: boolean
}

const moments = {
  'before-write': { clickhouse: 'between the intent and the insert', mysql: 'before the commit of rows and offset' },
  'during-write': { clickhouse: 'with the insert on its way', mysql: 'with the commit on its way' },
  'before-answer': {
    clickhouse: 'between the insert and the commit of its offset',
    mysql: 'between the commit of rows and offset, and the outcomes',
  },
} as const satisfies Partial<Record<KillMoment, Record<SinkKind, string>>>

const names = { clickhouse: 'ClickHouse', mysql: 'MySQL' } as const
const servers = { clickhouse: 'clickhouse', mysql: 'mariadb' } as const

/** Collects it: a run without enough of it shows nothing, whatever its checks say. */
export function collectEvidence(sources: EvidenceSources): readonly Evidence[] {
  const { faults, answeredAgain, takenOver, toldAgain, isQuick } = sources
  const needed = isQuick ? evidenceNeeded.quick : evidenceNeeded.full
  const rebalances = faults.reduce((sum, fault) => sum + (fault.rebalances ?? 0), 0)
  return [
    ...sinkKinds.flatMap((sink) => killed(sink, sources)),
    {
      title: 'inserts that one process began, and its successor did under the same token',
      found: takenOver,
      needed: needed.repeated,
    },
    {
      title: 'inserts that ClickHouse got again under the same token, and had',
      found: answeredAgain,
      needed: needed.repeated,
    },
    { title: 'leads that a successor found stored, and told of again', found: toldAgain, needed: needed.repeated },
    ...sinkKinds.flatMap((sink) => cut(sink, sources)),
    {
      title: 'rebalances under load that gave partitions to another sink',
      found: rebalances,
      needed: needed.rebalances,
    },
  ]
}

function killed(sink: SinkKind, { plan, faults }: EvidenceSources): readonly Evidence[] {
  const kills = faults.filter(({ what, on }) => what === 'killed' && on.startsWith(`${sink}-`))
  const parts = (['before-write', 'during-write', 'before-answer'] as const).map((at) => ({
    title: `  of these, ${moments[at][sink]}`,
    found: kills.filter(({ moment }) => moment === at).length,
    needed: Math.ceil(countFaults(plan, { sink, at }) * hitsNeeded) || 1,
  }))
  const needed = countFaults(plan, { sink }) || 1
  return [{ title: `${names[sink]} sinks killed`, found: kills.length, needed }, ...parts]
}

/** What happened to a database, and to its answers. */
function cut(sink: SinkKind, { plan, faults }: EvidenceSources): readonly Evidence[] {
  const planned = plan.filter(({ fault }) => fault.kind === 'database-kill' && fault.sink === sink).length
  const kills = faults.filter(({ what, on }) => what === 'database-killed' && on === servers[sink])
  const lost = faults.filter(
    ({ what, on, moment }) => what === 'answer-lost' && on === `${sink}-sink` && moment !== undefined,
  )
  return [
    { title: `times that ${servers[sink]} was killed`, found: kills.length, needed: planned || 1 },
    {
      title: '  of these, with a write on its way or not answered yet',
      found: kills.filter(({ moment }) => moment !== 'anywhere').length,
      needed: Math.ceil(planned * hitsNeeded) || 1,
    },
    { title: `answers of ${servers[sink]} that were lost, to a sink that lives`, found: lost.length, needed: 1 },
  ]
}
