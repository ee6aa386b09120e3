import { keyBytes, type OutgoingRecord, valueBytes } from '@millrace/streams'
import type { ByteBudget } from './byte-budget.ts'
import type { RecordSender } from './ports.ts'

/** A record's own cost in Kafka's client, on top of key and value. */
const recordOverheadBytes = 100

/** Sends only as much at a time as the budget has room for. Throws `OVERLOADED` when there is none: then nothing was sent. */
export function budgetedSender(inner: RecordSender, budget: ByteBudget): RecordSender {
  return {
    async send(records) {
      const bytes = bytesOf(records)
      budget.take(bytes)
      try {
        return await inner.send(records)
      } finally {
        budget.give(bytes)
      }
    },
  }
}

function bytesOf(records: readonly OutgoingRecord[]): number {
  let bytes = records.length * recordOverheadBytes
  for (const record of records) bytes += Math.max(0, keyBytes(record)) + Math.max(0, valueBytes(record))
  return bytes
}
