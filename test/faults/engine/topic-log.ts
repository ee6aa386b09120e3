import { type Broker, type FetchedBatches, partitionKey, RecordCursor, type TopicPartition } from '@millrace/streams'
import { FaultError } from '../fault-error.ts'

/** A marker that ended a transaction, as the log has it. */
export interface AbortMarker extends TopicPartition {
  readonly producerId: bigint
  readonly producerEpoch: number
}

const readDeadlineMs = 120_000

/*
 * Of a record batch (streams/src/core/record-batch-layout.ts), by position: base offset int64 0, length int32 8, attributes int16 21, producer id
 * int64 43, epoch int16 51, records from 61. A marker is a control batch (bit 5) of one record, whose lengths take one byte each, so that its key,
 * int16 version · int16 type, begins 5 bytes into the record. Type 0 is an abort.
 */
const at = { length: 8, afterLength: 12, attributes: 21, producerId: 43, producerEpoch: 51, markerType: 61 + 5 + 2 }
const controlBit = 1 << 5
const abortType = 0

/** Reads the committed records of a topic from its start to its present end, and gives each to `onRecord`; the cursor is reused. */
export async function readCommitted(
  broker: Broker,
  topic: string,
  onRecord: (cursor: RecordCursor, partition: number) => void,
): Promise<void> {
  const cursor = new RecordCursor()
  await readLog(broker, { topic, isolation: 'committed' }, (fetched) => {
    cursor.reset(fetched)
    while (cursor.next()) onRecord(cursor, fetched.partition)
  })
}

/** Every abort marker that the topic's log holds. */
export async function abortMarkers(broker: Broker, topic: string): Promise<readonly AbortMarker[]> {
  const markers: AbortMarker[] = []
  await readLog(broker, { topic, isolation: 'uncommitted' }, ({ bytes, partition }) => {
    for (let start = 0; start + at.markerType + 2 <= bytes.length; ) {
      const end = start + at.afterLength + bytes.readInt32BE(start + at.length)
      const isControl = (bytes.readInt16BE(start + at.attributes) & controlBit) !== 0
      if (end <= bytes.length && isControl && bytes.readInt16BE(start + at.markerType) === abortType) {
        const producerId = bytes.readBigInt64BE(start + at.producerId)
        markers.push({ topic, partition, producerId, producerEpoch: bytes.readInt16BE(start + at.producerEpoch) })
      }
      start = end
    }
  })
  return markers
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

async function readLog(
  broker: Broker,
  of: { readonly topic: string; readonly isolation: 'committed' | 'uncommitted' },
  onBatches: (fetched: FetchedBatches) => void,
): Promise<void> {
  const all = await partitionsOf(broker, of.topic)
  const admin = await broker.openAdmin()
  const fetcher = await broker.openFetcher({ clientId: 'checker', isolation: of.isolation })
  try {
    const starts = await admin.listOffsets(all, 'earliest')
    const ends = await admin.listOffsets(all, of.isolation === 'committed' ? 'latestCommitted' : 'latest')
    fetcher.assign(all.map((each) => ({ ...each, offset: starts.get(partitionKey(each)) ?? 0 })))
    const deadlineMs = Date.now() + readDeadlineMs
    while (all.some((each) => (fetcher.position(each) ?? 0) < (ends.get(partitionKey(each)) ?? 0))) {
      if (Date.now() > deadlineMs)
        throw new FaultError(`${of.topic} was not read to its end within ${readDeadlineMs} ms`)
      for (const fetched of await fetcher.poll(100)) onBatches(fetched)
    }
  } finally {
    await fetcher.close()
    await admin.close()
  }
}
