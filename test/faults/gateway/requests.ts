import { senders } from './limits.ts'

/** How something is sent. */
export type RequestKind = keyof typeof senders
export const requestKinds = Object.keys(senders) as readonly RequestKind[]

/**
 * What came of a request: safe in Kafka, safe on the gateway's disk, refused with a status and a code, the connection was lost, so that nobody has said
 * anything, or there was no answer in time.
 */
export type Outcome = 'kafka' | 'spooled' | 'lost' | 'hung' | `refused ${string}`

/** A request that is over. Its items are numbered per client, without gaps. */
export interface SentRequest {
  readonly client: string
  readonly kind: RequestKind
  readonly first: number
  readonly count: number
  readonly startedMs: number
  readonly tookMs: number
  readonly outcome: Outcome
}

/** The two topics that are written to. */
export const topicOf = (kind: RequestKind): 'events' | 'leads' => (kind === 'leads' ? 'leads' : 'events')

/** The id of an item: of an event its event_id, of a lead its campaign, which is in the clear. */
export function idOf(client: string, number: number): string {
  return `${client}.${number}@example.org`
}

/** Reads an id back; undefined when it is none of a run's. */
export function readId(id: string): { readonly client: string; readonly number: number } | undefined {
  const match = /^(.+)\.(\d+)@example\.org$/.exec(id)
  return match === null ? undefined : { client: match[1] ?? '', number: Number(match[2]) }
}

/** Whether the client was told that it is safe. */
export function isAcknowledged({ outcome }: SentRequest): boolean {
  return outcome === 'kafka' || outcome === 'spooled'
}

/** The path, the media type and the body of a request. */
export function bodyOf(
  kind: RequestKind,
  client: string,
  first: number,
): { readonly path: string; readonly type: string; readonly body: string } {
  if (kind === 'leads') {
    const lead = { first_name: 'Ada', last_name: client, email: 'ada@example.org', campaign: idOf(client, first) }
    return { path: '/api/v1/lead/process-async', type: 'application/json', body: JSON.stringify(lead) }
  }
  const events = Array.from({ length: senders[kind].items }, (_, i) => eventOf(client, first + i))
  const path = '/api/v1/events'
  if (kind === 'ndjson') {
    return { path, type: 'application/x-ndjson', body: events.map((event) => JSON.stringify(event)).join('\n') }
  }
  return { path, type: 'application/json', body: JSON.stringify(kind === 'single' ? events[0] : events) }
}

function eventOf(client: string, number: number) {
  return {
    event_id: idOf(client, number),
    user_id: client,
    event_type: 'outage',
    timestamp: Math.floor(Date.now() / 1_000),
    metadata: { value: number, text: 'what an event of a web page carries: an address, a title, a referrer, a size' },
  }
}
