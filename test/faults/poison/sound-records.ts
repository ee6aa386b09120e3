import { randomUUID } from 'node:crypto'
import { type ApiLog, type Event, type EventStats, openRegistry, statsKey } from '@millrace/schemas'
import { type Broker, RecordCursor } from '@millrace/streams'
import { partitionsOf } from '../engine/topic-log.ts'
import { FaultError } from '../fault-error.ts'
import type { PoisonedTopic, RawRecord } from './poison-records.ts'

/** A record that nothing is wrong with. */
export interface SoundRecord extends RawRecord {
  readonly value: Buffer
}

/** Makes sound records: each with an id of its own, but for the lead. */
export type SoundRecords = Readonly<Record<PoisonedTopic, () => SoundRecord>>

/** What sound records are of. */
export interface SoundOptions {
  readonly broker: Broker
  readonly registryUrl: string
  /** The type of their events, and of their statistics. */
  readonly eventType: string
  /** Makes a lead through the gateway, and answers its id: what the gateway writes of it is taken for a pattern. */
  readonly postLead: () => Promise<string>
}

const readDeadlineMs = 60_000

/** As the product writes them. */
export async function soundRecords(options: SoundOptions): Promise<SoundRecords> {
  const registry = openRegistry(options.registryUrl)
  const [event, log, stats, lead] = [
    await registry.codecFor('events', 'event'),
    await registry.codecFor('api-logs', 'api-log'),
    await registry.codecFor('stats', 'event-stats'),
    await leadRecord(options),
  ]
  const { eventType } = options
  return {
    events: () => ({ key: Buffer.from('u'), value: event.encode(eventOf(eventType)) }),
    leads: () => lead,
    'api-logs': () => {
      const value = apiLogOf()
      return { key: Buffer.from(value.request_id), value: log.encode(value) }
    },
    stats: () => ({ key: Buffer.from(statsKey(eventType, '1d', 0)), value: stats.encode(statsOf(eventType)) }),
  }
}

/** An event of a type, of now. */
export function eventOf(event_type: string): Event {
  const nowMs = Date.now()
  return {
    event_id: randomUUID(),
    user_id: 'u',
    event_type,
    timestamp: nowMs,
    value: 1,
    metadata: '{"value":1}',
    received_at: nowMs,
    source: 'test',
  }
}

/** Always the same one, as the gateway wrote it: a lead that comes again is as sound as one that is new. */
async function leadRecord({ broker, postLead }: SoundOptions): Promise<SoundRecord> {
  const all = await partitionsOf(broker, 'leads')
  const leadId = await postLead()
  const fetcher = await broker.openFetcher({ clientId: 'sound-records' })
  const cursor = new RecordCursor()
  try {
    fetcher.assign(all.map((of) => ({ ...of, offset: 0 })))
    for (const endMs = Date.now() + readDeadlineMs; Date.now() < endMs; ) {
      for (const fetched of await fetcher.poll(100)) {
        cursor.reset(fetched)
        while (cursor.next()) {
          if (cursor.bytes.toString('utf8', cursor.keyStart, cursor.keyEnd) !== leadId) continue
          const [key, value] = [
            cursor.bytes.subarray(cursor.keyStart, cursor.keyEnd),
            cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd),
          ].map((bytes) => Buffer.from(bytes))
          return { key: key ?? Buffer.alloc(0), value: value ?? Buffer.alloc(0) }
        }
      }
    }
  } finally {
    await fetcher.close()
  }
  throw new FaultError(`the record of lead ${leadId} is not in the topic`)
}

function apiLogOf(): ApiLog {
  const nowMs = Date.now()
  return {
    request_id: randomUUID(),
    method: 'GET',
    route: '/poison',
    principal: null,
    role: null,
    received_at: nowMs,
    request_bytes: 0,
    content_type: null,
    responded_at: nowMs,
    status: 200,
    response_bytes: 0,
    duration_ms: 1,
    error_code: null,
    accepted: null,
    rejected: null,
  }
}

function statsOf(event_type: string): EventStats {
  return {
    event_type,
    interval: '1d',
    window_start: 0,
    window_end: 86_400_000,
    count: 1,
    value_count: 1,
    sum: 1,
    avg: 1,
    min: 1,
    max: 1,
    final: false,
    updated_at: Date.now(),
  }
}
