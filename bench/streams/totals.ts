import { type Broker, partitionKey, RecordCursor, type TopicPartition } from '@millrace/streams'
import { BenchError } from '../bench-error.ts'
import { EventDraw, eventTypes, type ShapeName, spanMs, userCount, windowSizeMs } from './event-shape.ts'

/** What all rows of a result come to. */
export interface Totals {
  /** Different keys and windows. */
  readonly rows: number
  readonly count: number
  readonly sum: number
}

/** What rows are keyed by. */
export type RowKey = 'type' | 'user'

/** Sums are of doubles, added up in another order on each side. */
const sumTolerance = 1e-6

/** What the results must come to, from the events as they are drawn: no Kafka, no engine. */
export function expectedTotals(shape: ShapeName, count: number, by: RowKey): Totals {
  const users = shape === 'one-window' ? count : userCount
  const keys = by === 'type' ? eventTypes.length : users
  const windows = spanMs(shape, count) / windowSizeMs
  const seen = new Uint8Array(keys * windows)
  const draw = new EventDraw(shape, count)
  let rows = 0
  let sum = 0
  while (draw.next()) {
    const { event } = draw
    sum += event.value
    const row = (by === 'type' ? event.type : event.user) * windows + Math.floor(event.atMs / windowSizeMs)
    if (seen[row] === 0) {
      seen[row] = 1
      rows++
    }
  }
  return { rows, count, sum }
}

/** Why totals are wrong, or undefined when they are right: rows and counts exactly, sums but for the order of additions. */
export function differenceOf(found: Totals, expected: Totals): string | undefined {
  const faults: string[] = []
  if (found.rows !== expected.rows) faults.push(`${found.rows} rows in place of ${expected.rows}`)
  if (found.count !== expected.count) faults.push(`a count of ${found.count} in place of ${expected.count}`)
  const tolerated = sumTolerance * Math.abs(expected.sum)
  if (!(Math.abs(found.sum - expected.sum) <= tolerated))
    faults.push(`a sum of ${found.sum} in place of ${expected.sum}`)
  return faults.length === 0 ? undefined : faults.join(', ')
}

/** Nothing for so long, with records still to come, and reading has failed. */
const readStallMsMax = 30_000

/** Reads a topic of results as one who reads committed records only: the last value of each key, added up. One partition at a time. */
export async function readTotals(broker: Broker, topic: string, partitions: number): Promise<Totals> {
  let totals: Totals = { rows: 0, count: 0, sum: 0 }
  for (let partition = 0; partition < partitions; partition++) {
    const { rows, count, sum } = await partitionTotals(broker, { topic, partition })
    totals = { rows: totals.rows + rows, count: totals.count + count, sum: totals.sum + sum }
  }
  return totals
}

async function partitionTotals(broker: Broker, at: TopicPartition): Promise<Totals> {
  const rows = new Map<string, Totals>()
  await readPartition(broker, at, (cursor) => {
    const key = cursor.bytes.toString('latin1', cursor.keyStart, cursor.keyEnd)
    rows.set(key, rowTotals(cursor))
  })
  const totals = { rows: rows.size, count: 0, sum: 0 }
  for (const { count, sum } of rows.values()) {
    totals.count += count
    totals.sum += sum
  }
  return totals
}

/** A row's value, as both sides write it: int64 count, float64 sum, both big endian. */
function rowTotals({ bytes, valueStart, valueEnd }: RecordCursor): Totals {
  if (valueEnd - valueStart !== 16) throw new BenchError(`a result has 16 bytes, not ${valueEnd - valueStart}`)
  const count = bytes.readUInt32BE(valueStart) * 2 ** 32 + bytes.readUInt32BE(valueStart + 4)
  return { rows: 1, count, sum: bytes.readDoubleBE(valueStart + 8) }
}

/** Shows every committed record up to the partition's present end. */
async function readPartition(broker: Broker, at: TopicPartition, show: (cursor: RecordCursor) => void): Promise<void> {
  const admin = await broker.openAdmin()
  const end = (await admin.listOffsets([at], 'latestCommitted')).get(partitionKey(at)) ?? 0
  await admin.close()
  const fetcher = await broker.openFetcher({ clientId: 'bench-totals', partitionBytesMax: 4 * 1024 * 1024 })
  try {
    fetcher.assign([{ ...at, offset: 0 }])
    const cursor = new RecordCursor()
    let lastMs = performance.now()
    while ((fetcher.position(at) ?? 0) < end) {
      for (const batches of await fetcher.poll(100)) {
        lastMs = performance.now()
        cursor.reset(batches)
        while (cursor.next()) show(cursor)
      }
      if (performance.now() - lastMs > readStallMsMax)
        throw new BenchError(`${partitionKey(at)} could not be read beyond offset ${fetcher.position(at)} of ${end}`)
    }
  } finally {
    await fetcher.close()
  }
}
