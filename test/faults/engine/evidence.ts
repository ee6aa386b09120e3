import type { FaultRecord } from './fault-runner.ts'
import { isRefusedByBroker } from './fault-runner.ts'
import type { Instances } from './instances.ts'
import type { AbortMarker } from './topic-log.ts'

/** A number that shows that the faults hit something. */
export interface Evidence {
  readonly title: string
  readonly found: number
  readonly needed: number
}

/** What a run must have at least, to show anything. */
export interface EvidenceNeeded {
  readonly kills: number
  readonly openKills: number
}

/** Collects what shows that the faults hit: mostly the broker's word, and what the log holds. */
export function collectEvidence(
  of: {
    readonly faults: readonly FaultRecord[]
    readonly instances: Instances
    readonly markers: readonly AbortMarker[]
  },
  needed: EvidenceNeeded,
): readonly Evidence[] {
  const { faults, instances, markers } = of
  const kills = faults.filter(({ isKill }) => isKill)
  const open = kills.filter(({ transaction }) => transaction?.state === 'Ongoing')
  const aborted = open.filter(({ transaction }) => markers.some((marker) => isEndOf(marker, transaction)))
  const restored = instances.reports('restored').filter(({ records }) => records > 0)
  return [
    { title: 'processes killed', found: kills.length, needed: needed.kills },
    {
      title: 'killed with a transaction open, by the word of the broker',
      found: open.length,
      needed: needed.openKills,
    },
    { title: 'of these, aborted: the marker is in the log', found: aborted.length, needed: needed.openKills },
    {
      title: 'transactions that have an abort marker in the log',
      found: transactionsOf(markers).size,
      needed: needed.openKills,
    },
    {
      title: 'commits refused to a process that others had replaced',
      found: instances.reports('warned').filter(isRefusedByBroker).length,
      needed: 1,
    },
    { title: 'stores restored from changelogs', found: restored.length, needed: 1 },
    { title: 'brokers killed', found: faults.filter(({ instance }) => instance === 'broker').length, needed: 1 },
  ]
}

/** Of the same producer, in the epoch of the transaction, or of the one who aborted it by raising the epoch. */
function isEndOf(marker: AbortMarker, transaction: FaultRecord['transaction']): boolean {
  if (transaction === undefined || marker.producerId !== transaction.producerId) return false
  return marker.producerEpoch === transaction.producerEpoch || marker.producerEpoch === transaction.producerEpoch + 1
}

function transactionsOf(markers: readonly AbortMarker[]): ReadonlySet<string> {
  return new Set(markers.map(({ producerId, producerEpoch }) => `${producerId} ${producerEpoch}`))
}
