import { type FaultRecord, isRefusedByBroker } from './fault-runner.ts'
import type { InstanceReport } from './instance-settings.ts'
import type { Instances } from './instances.ts'
import type { LoggedBatch } from './topic-log.ts'

/** A number that shows that the faults hit something. */
export interface Evidence {
  readonly title: string
  readonly found: number
  readonly needed: number
}

/** One line that says whether the run shows anything in this. */
export function evidenceText({ title, found, needed }: Evidence): string {
  return `  ${found < needed ? 'NO    ' : 'yes   '}  ${title}: ${found} (at least ${needed})`
}

/** What a run must have at least, to show anything. */
export interface EvidenceNeeded {
  readonly kills: number
  /** Kills with a transaction open. */
  readonly openKills: number
}

/** What a run has to show. */
export interface EvidenceSources {
  readonly faults: readonly FaultRecord[]
  readonly instances: Pick<Instances, 'all' | 'reports'>
  readonly markers: readonly LoggedBatch[]
}

/** Collects what shows that the faults hit: mostly the broker's word, and what the log holds. */
export function collectEvidence(
  { faults, instances, markers }: EvidenceSources,
  { kills, openKills }: EvidenceNeeded,
): readonly Evidence[] {
  const killed = faults.filter(({ isKill }) => isKill)
  const open = killed.filter(({ transaction }) => transaction?.state === 'Ongoing')
  const aborted = open.filter(({ transaction }) => markers.some((marker) => isEndOf(marker, transaction)))
  const refused = instances.reports('warned').filter(isRefusedByBroker)
  const rebuilt = instances.all.filter(({ reports }) => reports.some(isRebuilding))
  const brokers = faults.filter(({ instance }) => instance === 'broker')
  return [
    { title: 'processes killed', found: killed.length, needed: kills },
    { title: 'killed with a transaction open, by the word of the broker', found: open.length, needed: openKills },
    { title: 'of these, aborted: the marker is in the log', found: aborted.length, needed: openKills },
    { title: 'commits that the broker refused to a process whose work others had', found: refused.length, needed: 1 },
    { title: 'processes that took state from changelogs, as a restore or a copy', found: rebuilt.length, needed: 1 },
    { title: 'brokers killed', found: brokers.length, needed: 1 },
  ]
}

/** How many transactions these markers ended. */
export function abortedTransactions(markers: readonly LoggedBatch[]): number {
  return new Set(markers.map(({ producerId, producerEpoch }) => `${producerId} ${producerEpoch}`)).size
}

function isRebuilding(report: InstanceReport): boolean {
  return report.event === 'restored' ? report.records > 0 : report.event === 'committed' && report.copies > 0
}

/** Of the same producer, in the epoch of the transaction, or of the one who aborted it by raising the epoch. */
function isEndOf(marker: LoggedBatch, transaction: FaultRecord['transaction']): boolean {
  if (transaction === undefined || marker.producerId !== transaction.producerId) return false
  return marker.producerEpoch === transaction.producerEpoch || marker.producerEpoch === transaction.producerEpoch + 1
}
