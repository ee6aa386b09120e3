import { setTimeout as delay } from 'node:timers/promises'
import { hungMs, senders } from './limits.ts'

/** How something is sent. */
export type RequestKind = keyof typeof senders
export const requestKinds = Object.keys(senders) as readonly RequestKind[]

/** A request that is over. */
export interface SentRequest {
  readonly kind: RequestKind
  readonly startedMs: number
  readonly tookMs: number
  /** Of the answer; 0 when there was none. */
  readonly status: number
  /** Of a refusal: why. */
  readonly code?: string
}

/** What was told to be safe. */
export interface Accepted {
  readonly events: number
  /** Of each user, the number of events. */
  readonly eventsByUser: ReadonlyMap<string, number>
  readonly leadIds: ReadonlySet<string>
}

/** Clients of the gateway that send events and leads, one request after the other, until they are stopped. */
export class OutageLoad {
  /** In the order in which they ended. */
  readonly sent: SentRequest[] = []
  readonly #url: string
  readonly #token: string
  readonly #eventsByUser = new Map<string, number>()
  readonly #leadIds = new Set<string>()
  #isStopped = false
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: { readonly url: string; readonly token: string }) {
    this.#url = options.url
    this.#token = options.token
  }

  get accepted(): Accepted {
    let events = 0
    for (const count of this.#eventsByUser.values()) events += count
    return { events, eventsByUser: this.#eventsByUser, leadIds: this.#leadIds }
  }

  start(): void {
    this.#running = Promise.all(
      requestKinds.flatMap((kind) =>
        Array.from({ length: senders[kind].clients }, (_, client) => this.#sendAll(kind, `${kind}-${client}`)),
      ),
    )
  }

  /** Resolves when the last answers have come. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #sendAll(kind: RequestKind, client: string): Promise<void> {
    const { items, pauseMs } = senders[kind]
    for (let first = 0; !this.#isStopped; first += items) {
      const startedMs = Date.now()
      const began = performance.now()
      const answer = await this.#post(kind, client, first)
      this.sent.push({ kind, startedMs, tookMs: performance.now() - began, ...answer })
      await delay(pauseMs)
    }
  }

  async #post(kind: RequestKind, client: string, first: number): Promise<Pick<SentRequest, 'status' | 'code'>> {
    try {
      const answer = await fetch(this.#url + paths[kind], {
        method: 'POST',
        headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
        body: JSON.stringify(bodyOf(kind, client, first)),
        signal: AbortSignal.timeout(hungMs),
      })
      const body = JSON.parse(await answer.text())
      if (!answer.ok) return { status: answer.status, code: body.code }
      this.#note(kind, client, body)
      return { status: answer.status }
    } catch {
      // Nobody has said whether it is safe: it is looked for nowhere, and the missing answer is what a check finds.
      return { status: 0 }
    }
  }

  #note(
    kind: RequestKind,
    client: string,
    body: { accepted: number; lead_id: string; results: readonly { lead_id: string }[] },
  ): void {
    if (kind === 'events') this.#eventsByUser.set(client, (this.#eventsByUser.get(client) ?? 0) + body.accepted)
    else if (kind === 'leads') this.#leadIds.add(body.lead_id)
    else for (const { lead_id } of body.results) this.#leadIds.add(lead_id)
  }
}

const paths: Readonly<Record<RequestKind, string>> = {
  events: '/api/v1/events',
  leads: '/api/v1/lead/process-async',
  'bulk-leads': '/api/v1/leads/process-bulk',
}

function bodyOf(kind: RequestKind, client: string, first: number): unknown {
  const numbers = Array.from({ length: senders[kind].items }, (_, i) => first + i)
  if (kind === 'events') return numbers.map((number) => eventOf(client, number))
  const leads = numbers.map((number) => ({
    first_name: 'Ada',
    last_name: client,
    email: `${client}.${number}@example.org`,
  }))
  return kind === 'leads' ? leads[0] : leads
}

function eventOf(client: string, number: number) {
  return {
    event_id: `${client}.${number}`,
    user_id: client,
    event_type: 'outage',
    timestamp: Math.floor(Date.now() / 1_000),
    metadata: { value: number, text: 'what an event of a web page carries: an address, a title, a referrer, a size' },
  }
}
