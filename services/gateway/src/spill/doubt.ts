import type { Broker, OutgoingRecord } from '@millrace/streams'
import { spillReplayBytes } from '../limits.ts'
import { countRecord, findLanded, fingerprint, type RecordCounts } from './landed-records.ts'
import type { SpillEntry } from './spill-format.ts'
import type { SpillCursor, SpillLog } from './spill-log.ts'

/** Finds out which records that were sent without an answer are in Kafka. */
export interface Doubt {
  /** Looks for all such records of these entries, and of those `behind` them up to the first that was never sent: they are of one outage. */
  resolve(entries: readonly SpillEntry[], behind: SpillCursor): Promise<void>
  /** True when the record is there; once for each copy of it. */
  take(record: OutgoingRecord): boolean
}

/** Makes the doubt of one session of the replay, in which nothing new comes into doubt. */
export function createDoubt(broker: Broker, log: SpillLog): Doubt {
  const landed: RecordCounts = new Map()
  /** Everything before this sequence was looked for. */
  let resolvedTo = 0

  async function resolve(entries: readonly SpillEntry[], behind: SpillCursor): Promise<void> {
    if (!entries.some((entry) => entry.floors !== undefined && entry.sequence >= resolvedTo)) return
    const searches = new Map<string, { topic: string; floors: number[]; wanted: RecordCounts }>()
    let cursor = behind
    for (let run = entries; run.length > 0; ) {
      for (const { topic, floors, records, sequence } of run) {
        if (floors === undefined || sequence < Math.max(resolvedTo, log.position)) continue
        const search = searches.get(topic) ?? { topic, floors: [...floors], wanted: new Map() }
        searches.set(topic, search)
        for (const [i, floor] of floors.entries()) search.floors[i] = Math.min(search.floors[i] ?? floor, floor)
        for (const record of records) countRecord(search.wanted, fingerprint(record))
      }
      const last = run.at(-1)
      resolvedTo = Math.max(resolvedTo, (last?.sequence ?? -1) + 1)
      if (last?.floors === undefined) break
      const next = await log.read(cursor, spillReplayBytes)
      run = next.entries
      cursor = next.cursor
    }
    for (const search of searches.values()) {
      for (const [record, count] of await findLanded(broker, 'millrace-gateway-spill', search)) {
        landed.set(record, (landed.get(record) ?? 0) + count)
      }
    }
  }

  return {
    resolve,
    take(record) {
      const found = fingerprint(record)
      const count = landed.get(found) ?? 0
      if (count > 0) landed.set(found, count - 1)
      return count > 0
    },
  }
}
