import { hash } from 'node:crypto'
import { type Broker, type OutgoingRecord, partitionKey, RecordCursor } from '@millrace/streams'
import { pollWaitMsMax } from '../limits.ts'

/** Records by what they are, and how many of each. */
export type RecordCounts = Map<string, number>

/** What is looked for. */
export interface Search {
  readonly topic: string
  /** Where to begin, by partition. */
  readonly floors: readonly number[]
  readonly wanted: ReadonlyMap<string, number>
}

/** What a record is, wherever it lies: two records with the same fingerprint are copies of each other. */
export function fingerprint({ partition, timestamp, key, value }: OutgoingRecord): string {
  return fingerprintOf(partition, timestamp, [key, value])
}

/** Counts a record. */
export function countRecord(counts: RecordCounts, record: string): void {
  counts.set(record, (counts.get(record) ?? 0) + 1)
}

/**
 * Which of the wanted records lie in a topic, up to its present end. Aborted records do not count, and open transactions are waited for.
 * Throws what the broker throws.
 */
export async function findLanded(broker: Broker, clientId: string, search: Search): Promise<RecordCounts> {
  const { topic, floors, wanted } = search
  const found: RecordCounts = new Map()
  let missing = [...wanted.values()].reduce((sum, count) => sum + count, 0)
  const { starts, ends } = await rangeOf(broker, search)
  const fetcher = await broker.openFetcher({ clientId })
  const cursor = new RecordCursor()
  try {
    fetcher.assign(starts.map((offset, partition) => ({ topic, partition, offset })))
    const isBehind = () =>
      floors.some((_, partition) => (fetcher.position({ topic, partition }) ?? 0) < (ends[partition] ?? 0))
    while (missing > 0 && isBehind()) {
      for (const batches of await fetcher.poll(pollWaitMsMax)) {
        cursor.reset(batches)
        while (cursor.next()) {
          const record = fingerprintAt(cursor, batches.partition)
          if ((found.get(record) ?? 0) >= (wanted.get(record) ?? 0)) continue
          countRecord(found, record)
          missing--
        }
      }
    }
  } finally {
    await fetcher.close()
  }
  return found
}

async function rangeOf(broker: Broker, { topic, floors }: Search): Promise<{ starts: number[]; ends: number[] }> {
  const partitions = floors.map((_, partition) => ({ topic, partition }))
  const admin = await broker.openAdmin()
  try {
    const earliest = await admin.listOffsets(partitions, 'earliest')
    const latest = await admin.listOffsets(partitions, 'latest')
    return {
      // What retention has deleted since cannot be found any more.
      starts: floors.map((floor, i) => Math.max(floor, earliest.get(partitionKey({ topic, partition: i })) ?? 0)),
      ends: partitions.map((partition) => latest.get(partitionKey(partition)) ?? 0),
    }
  } finally {
    await admin.close()
  }
}

function fingerprintAt(cursor: RecordCursor, partition: number): string {
  const { bytes, timestamp, keyStart, keyEnd, valueStart, valueEnd } = cursor
  const key = keyStart < 0 ? null : bytes.subarray(keyStart, keyEnd)
  const value = valueStart < 0 ? null : bytes.subarray(valueStart, valueEnd)
  return fingerprintOf(partition, timestamp, [key, value])
}

function fingerprintOf(partition: number, timestamp: number, parts: readonly (Buffer | null)[]): string {
  return `${partition} ${timestamp} ${parts.map((part) => (part === null ? '-' : hash('sha256', part, 'base64'))).join(' ')}`
}
