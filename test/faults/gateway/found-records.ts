import { openRegistry } from '@millrace/schemas'
import type { Broker, RecordCursor } from '@millrace/streams'
import { readCommitted } from '../engine/topic-log.ts'
import { readId } from './requests.ts'

/** An item of this run in its topic, as a reader of committed records finds it. */
export interface FoundItem {
  readonly id: string
  readonly client: string
  readonly number: number
  readonly partition: number
  readonly offset: number
}

/** What the topics hold of a run, in the order of their partitions. */
export interface FoundItems {
  readonly events: readonly FoundItem[]
  readonly leads: readonly FoundItem[]
}

/** Reads both topics from their beginning to their end. */
export async function readFound(broker: Broker, registryUrl: string): Promise<FoundItems> {
  const registry = openRegistry(registryUrl)
  const event = await registry.codecFor('events', 'event')
  const lead = await registry.codecFor('leads', 'lead')
  return {
    events: await itemsOf(broker, 'events', (value) => event.decode(value).event_id),
    leads: await itemsOf(broker, 'leads', (value) => lead.decode(value).campaign ?? ''),
  }
}

async function itemsOf(broker: Broker, topic: string, idIn: (value: Buffer) => string): Promise<FoundItem[]> {
  const records = await readCommitted(broker, topic, (cursor) => ({
    offset: cursor.offset,
    key: '',
    value: idIn(valueAt(cursor)),
  }))
  return records.flatMap((list, partition) =>
    list.flatMap(({ offset, value: id }) => {
      const read = readId(id)
      return read === undefined ? [] : [{ id, ...read, partition, offset }]
    }),
  )
}

function valueAt({ bytes, valueStart, valueEnd }: RecordCursor): Buffer {
  return Buffer.from(bytes.subarray(Math.max(valueStart, 0), valueEnd))
}
