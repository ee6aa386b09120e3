/** One event that was sent, and what was answered. */
export interface SentEvent {
  readonly id: string
  readonly user: string
  readonly number: number
  /** `unknown`: the connection was lost, so nobody has said anything about it. */
  readonly outcome: 'kafka' | 'spooled' | 'unknown' | `refused ${number}`
  /** How long its request took. */
  readonly tookMs: number
}

/** Requests that go on until they are stopped. */
export interface EventLoad {
  readonly sent: readonly SentEvent[]
  /** Another address to send to. */
  redirect(url: string): void
  stop(): Promise<void>
}

/** What is sent. */
export interface EventLoadOptions {
  readonly url: string
  readonly authorization: () => string
  /** Users that send side by side, each one request after the other. */
  readonly users: number
  readonly eventsPerRequest: number
  /** Distinguishes this load's ids. */
  readonly run: string
  /** Between two requests of a user. */
  readonly pauseMs: number
}

/** Before what the gateway had too much to do for is sent again. */
const overloadedMs = 1_000

/** Starts sending: every user numbers its events, so that their order can be checked. */
export function startEventLoad(options: EventLoadOptions): EventLoad {
  const { users, eventsPerRequest, run, pauseMs } = options
  const sent: SentEvent[] = []
  let { url } = options
  let isStopped = false

  async function sendAll(user: string): Promise<void> {
    for (let number = 0; !isStopped; ) {
      const events = Array.from({ length: eventsPerRequest }, () => ({ id: `${user}-${number}`, number: number++ }))
      const startedMs = performance.now()
      const outcome = await post(user, events)
      const tookMs = performance.now() - startedMs
      sent.push(...events.map((event) => ({ ...event, user, outcome, tookMs })))
      await new Promise((resolve) => setTimeout(resolve, outcome === 'unknown' ? 50 : pauseMs))
    }
  }

  async function post(user: string, events: readonly { id: string; number: number }[]): Promise<SentEvent['outcome']> {
    const body = events.map(({ id, number }) => ({
      event_id: id,
      user_id: user,
      event_type: 'load',
      timestamp: Math.floor(Date.now() / 1_000),
      metadata: { value: number },
    }))
    try {
      const answer = await fetch(`${url}/events`, {
        method: 'POST',
        headers: { authorization: options.authorization(), 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      const text = await answer.text()
      if (answer.status === 202) return JSON.parse(text).durability
      // A busy machine makes a busy gateway, which has done nothing and asks for it again.
      if (answer.status !== 503 || JSON.parse(text).code !== 'OVERLOADED') return `refused ${answer.status}`
    } catch {
      return 'unknown'
    }
    await new Promise((resolve) => setTimeout(resolve, overloadedMs))
    return await post(user, events)
  }

  const running = Promise.all(Array.from({ length: users }, (_, i) => sendAll(`${run}-user-${i}`)))
  return {
    sent,
    redirect(to) {
      url = to
    },
    async stop() {
      isStopped = true
      await running
    },
  }
}
