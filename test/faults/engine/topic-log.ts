import { type Broker, type FetchedBatches, partitionKey, RecordCursor, type TopicPartition } from '@millrace/streams'
import { FaultError } from '../fault-error.ts'

/** A record of text, as a reader saw it. */
export interface ReadRecord {
  readonly offset: number
  readonly key: string
  readonly value: string
}

/** What a batch of the log is. */
export const batchKinds = ['plain', 'transactional', 'commit', 'abort'] as const
export type BatchKind = (typeof batchKinds)[number]

/** A batch, as its header tells. */
export interface LoggedBatch extends TopicPartition {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly kind: BatchKind
}

const readDeadlineMs = 120_000

/*
 * Of a record batch (streams/src/core/record-batch-layout.ts), by position. A marker is a control batch of one record, whose lengths take one
 * byte each, so that its key, int16 version · int16 type, begins 5 bytes into the record. Type 0 is an abort.
 */
const headerBytes = 61
const position = { length: 8, afterLength: 12, attributes: 21, lastDelta: 23, producerId: 43, producerEpoch: 51 }
const markerTypePosition = headerBytes + 5 + 2
const transactionalBit = 1 << 4
const controlBit = 1 << 5
const abortType = 0

/** Reads the records of a topic that nobody wrote in transactions, and gives each to `onRecord`; the cursor is reused. */
export async function readPlain(
  broker: Broker,
  topic: string,
  onRecord: (cursor: RecordCursor) => void,
): Promise<void> {
  const cursor = new RecordCursor()
  await readLog(broker, topic, (fetched) => {
    cursor.reset(fetched)
    while (cursor.next()) onRecord(cursor)
  })
}

/**
 * The committed records of a topic, by partition. Who is committed is found here from the markers in the log, and not from the broker's list of
 * aborted transactions, as readers do: two ways that must agree.
 */
export async function readCommitted(
  broker: Broker,
  topic: string,
  recordOf: (cursor: RecordCursor) => ReadRecord,
): Promise<ReadRecord[][]> {
  const all = await partitionsOf(broker, topic)
  const records: ReadRecord[][] = all.map(() => [])
  const batches: LoggedBatch[][] = all.map(() => [])
  const cursor = new RecordCursor()
  await readLog(broker, topic, (fetched) => {
    batches[fetched.partition]?.push(...batchesOf(fetched))
    cursor.reset(fetched)
    while (cursor.next()) records[fetched.partition]?.push(recordOf(cursor))
  })
  return records.map((list, partition) => {
    const visible = committedBatches(batches[partition] ?? [])
    let at = 0
    return list.filter(({ offset }) => {
      while (at < visible.length && (visible[at]?.lastOffset ?? 0) < offset) at++
      return (visible[at]?.baseOffset ?? Number.POSITIVE_INFINITY) <= offset
    })
  })
}

/** The batches of records whose transaction ended with a commit, and those outside of transactions, in the order of the log. */
export function committedBatches(batches: readonly LoggedBatch[]): readonly LoggedBatch[] {
  const open = new Map<bigint, LoggedBatch[]>()
  const committed: LoggedBatch[] = []
  for (const batch of batches) {
    const { producerId, kind } = batch
    if (kind === 'plain') committed.push(batch)
    else if (kind === 'transactional') open.set(producerId, [...(open.get(producerId) ?? []), batch])
    else {
      if (kind === 'commit') committed.push(...(open.get(producerId) ?? []))
      open.delete(producerId)
    }
  }
  return committed.sort((left, right) => left.baseOffset - right.baseOffset)
}

/** Every abort marker that the topic's log holds. */
export async function abortMarkers(broker: Broker, topic: string): Promise<readonly LoggedBatch[]> {
  const markers: LoggedBatch[] = []
  await readLog(broker, topic, (fetched) => {
    markers.push(...batchesOf(fetched).filter(({ kind }) => kind === 'abort'))
  })
  return markers
}

/** The whole batches that a fetch brought, from the asked offset on. */
export function batchesOf({ topic, partition, bytes, fetchOffset }: FetchedBatches): readonly LoggedBatch[] {
  const batches: LoggedBatch[] = []
  for (let start = 0; start + headerBytes <= bytes.length; ) {
    const end = start + position.afterLength + bytes.readInt32BE(start + position.length)
    if (end > bytes.length) break
    const baseOffset = Number(bytes.readBigInt64BE(start))
    const lastOffset = baseOffset + bytes.readInt32BE(start + position.lastDelta)
    const producerId = bytes.readBigInt64BE(start + position.producerId)
    const producerEpoch = bytes.readInt16BE(start + position.producerEpoch)
    const kind = kindOf(bytes, start)
    if (lastOffset >= fetchOffset)
      batches.push({ topic, partition, baseOffset, lastOffset, producerId, producerEpoch, kind })
    start = end
  }
  return batches
}

/** Partitions of a topic. */
export async function partitionsOf(broker: Broker, topic: string): Promise<readonly TopicPartition[]> {
  const admin = await broker.openAdmin()
  try {
    const partitions = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 0
    return Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  } finally {
    await admin.close()
  }
}

/** Where each partition of a topic ends, by number. */
export async function endsOf(broker: Broker, topic: string): Promise<readonly number[]> {
  const all = await partitionsOf(broker, topic)
  const admin = await broker.openAdmin()
  try {
    const ends = await admin.listOffsets(all, 'latest')
    return all.map((of) => ends.get(partitionKey(of)) ?? 0)
  } finally {
    await admin.close()
  }
}

function kindOf(bytes: Buffer, start: number): BatchKind {
  const attributes = bytes.readInt16BE(start + position.attributes)
  if ((attributes & controlBit) !== 0)
    return bytes.readInt16BE(start + markerTypePosition) === abortType ? 'abort' : 'commit'
  return (attributes & transactionalBit) === 0 ? 'plain' : 'transactional'
}

/** Everything from the topic's start to its present end, aborted and open transactions, too. */
async function readLog(broker: Broker, topic: string, onBatches: (fetched: FetchedBatches) => void): Promise<void> {
  const all = await partitionsOf(broker, topic)
  const admin = await broker.openAdmin()
  const fetcher = await broker.openFetcher({ clientId: 'checker', isolation: 'uncommitted' })
  try {
    const starts = await admin.listOffsets(all, 'earliest')
    const ends = await admin.listOffsets(all, 'latest')
    fetcher.assign(all.map((each) => ({ ...each, offset: starts.get(partitionKey(each)) ?? 0 })))
    const deadlineMs = Date.now() + readDeadlineMs
    while (all.some((each) => (fetcher.position(each) ?? 0) < (ends.get(partitionKey(each)) ?? 0))) {
      if (Date.now() > deadlineMs) {
        throw new FaultError(`${topic} was not read to its end within ${readDeadlineMs / 1_000} s`)
      }
      for (const fetched of await fetcher.poll(100)) onBatches(fetched)
    }
  } finally {
    await fetcher.close()
    await admin.close()
  }
}
