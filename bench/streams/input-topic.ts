import { createCodec } from '@millrace/schemas'
import { type Broker, type OutgoingRecord, partitionKey, partitionOfKey } from '@millrace/streams'
import { EventDraw, fullEvent, type ShapeName, spanMs, windowSizeMs } from './event-shape.ts'

/** Partitions of every input and output. */
export const partitionCount = 4

/** The id that events are framed with; no registry is asked for it. */
export const eventSchemaId = 1

/** Records of one call of the producer. */
const sendRecords = 5_000

/** Calls that are not acknowledged yet: enough to keep the broker busy. */
const sendsInFlightMax = 4

/** What an input is made of. */
export interface InputOptions {
  readonly shape: ShapeName
  readonly count: number
  readonly report: (line: string) => void
}

/** An input's name says what is in it. */
export function inputTopicName(shape: ShapeName, count: number): string {
  return `bench-${shape}-${count}`
}

/** Makes sure that the input is there, whole: fills the topic unless an earlier run has. Returns its name. */
export async function ensureInput(broker: Broker, { shape, count, report }: InputOptions): Promise<string> {
  const topic = inputTopicName(shape, count)
  const admin = await broker.openAdmin()
  try {
    if ((await admin.describeTopics([topic])).has(topic)) {
      const partitions = Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition }))
      const ends = await admin.listOffsets(partitions, 'latest')
      const records = partitions.reduce((sum, partition) => sum + (ends.get(partitionKey(partition)) ?? 0), 0)
      if (records === count) return topic
      await admin.deleteTopics([topic])
    }
    report(`Filling ${topic}: ${count.toLocaleString('en')} Avro events …`)
    // Kept without end: a broker would count the age of records by their own times.
    const config = { 'retention.ms': '-1' }
    await admin.createTopics([{ name: topic, partitions: partitionCount, replicationFactor: 1, config }])
  } finally {
    await admin.close()
  }
  await fill(broker, topic, { shape, count })
  return topic
}

async function fill(
  broker: Broker,
  topic: string,
  of: { readonly shape: ShapeName; readonly count: number },
): Promise<void> {
  const producer = await broker.openProducer({ clientId: 'bench-input' })
  const codec = createCodec('event', eventSchemaId)
  const draw = new EventDraw(of.shape, of.count)
  const startMs = Math.floor(Date.now() / windowSizeMs) * windowSizeMs - spanMs(of.shape, of.count)
  const inFlight: Promise<unknown>[] = []
  let index = 0
  let records: OutgoingRecord[] = []
  const send = async () => {
    inFlight.push(producer.send(records))
    records = []
    if (inFlight.length >= sendsInFlightMax) await inFlight.shift()
  }
  try {
    while (draw.next()) {
      const event = fullEvent(draw.event, startMs, index++)
      const key = Buffer.from(event.user_id)
      const partition = partitionOfKey(key, partitionCount)
      records.push({ topic, partition, key, value: codec.encode(event), timestamp: event.timestamp })
      if (records.length === sendRecords) await send()
    }
    await send()
    await Promise.all(inFlight)
  } finally {
    await producer.close()
  }
}
