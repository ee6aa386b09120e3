import type { OutgoingRecord } from '@millrace/streams'
import { gatherRecordsMax, gatherSendsMax } from '../limits.ts'
import type { Durability, RecordSender } from './ports.ts'

/** Calls that wait to go together. */
interface Gathering {
  readonly records: OutgoingRecord[]
  readonly outcome: PromiseWithResolvers<Durability>
}

/**
 * Sends small calls together: while `gatherSendsMax` sends are under way, those that come wait for one of them to end, and then go as one.
 * A request that comes alone waits for nothing; under load the sends grow, for a send costs this process and the broker about the same, however many
 * records it has. All calls of one send share its outcome: when it fails, some of them may have been written, as with any failed send.
 */
export function gatheringSender(inner: RecordSender): RecordSender {
  let sending = 0
  let gathering: Gathering | undefined

  function start(records: readonly OutgoingRecord[]): Promise<Durability> {
    sending++
    return inner.send(records).finally(onEnd)
  }

  function onEnd(): void {
    sending--
    if (sending < gatherSendsMax) flush()
  }

  function flush(): void {
    if (gathering === undefined) return
    const { records, outcome } = gathering
    gathering = undefined
    start(records).then(outcome.resolve, outcome.reject)
  }

  return {
    send(records) {
      if (gathering === undefined && sending < gatherSendsMax) return start(records)
      if (records.length >= gatherRecordsMax) {
        // Large enough by itself; what waits goes before it, to keep the order.
        flush()
        return start(records)
      }
      gathering ??= { records: [], outcome: Promise.withResolvers() }
      const { outcome } = gathering
      for (const record of records) gathering.records.push(record)
      if (gathering.records.length >= gatherRecordsMax) flush()
      return outcome.promise
    },
  }
}
