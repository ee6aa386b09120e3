import { setTimeout as delay } from 'node:timers/promises'
import type { DemoOptions } from './command-line.ts'
import { LauncherError } from './errors.ts'
import { type FlightEvent, flights } from './flights.ts'
import { limits } from './limits.ts'

/** Where and how to play. */
export interface Demo {
  readonly url: string
  readonly account: { readonly username: string; readonly password: string }
  readonly options: DemoOptions
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

/**
 * Replays three months of flights as events, through the gateway's HTTP API as any producer would: each is posted
 * when its time has come, with that time. At the end it begins again. Resolves when `eventsMax` were accepted or `signal` is aborted;
 * throws DEMO_FAILED when the gateway refuses them.
 */
export async function playDemo(demo: Demo): Promise<void> {
  const { options, report, signal } = demo
  const { tickMs, eventsPerRequest, reportMs } = limits.demo
  const schedule = scheduleFlights(flights(), {
    startMs: Date.now(),
    speed: options.speed,
    eventsMax: options.eventsMax ?? Number.POSITIVE_INFINITY,
  })
  const client = createProducer(demo)
  let sent = 0
  let reportedMs = performance.now()
  let waiting: FlightEvent | undefined
  report(`Replaying flights of 2001 as events, ${options.speed} times as fast as they were`)
  while (!signal.aborted) {
    const due: FlightEvent[] = []
    while (due.length < eventsPerRequest) {
      waiting ??= schedule.next().value
      if (waiting === undefined || waiting.timestamp > Date.now()) break
      due.push(waiting)
      waiting = undefined
    }
    if (due.length > 0) sent += await client.post(due)
    if (performance.now() - reportedMs > reportMs) {
      report(`  demonstration: ${sent} flights sent`)
      reportedMs = performance.now()
    }
    if (due.length === 0 && waiting === undefined) break
    if (due.length < eventsPerRequest) await delay(tickMs, undefined, { signal }).catch(() => undefined)
  }
  report(`  demonstration: ${sent} flights sent${signal.aborted ? '' : '; that was all'}`)
}

/**
 * The flights with the times at which they are to be posted: the first at `startMs`, the others at their own
 * distances divided by `speed`, again and again, `eventsMax` in all. Ids are the same for the same start.
 */
export function* scheduleFlights(
  events: readonly FlightEvent[],
  { startMs, speed, eventsMax }: { startMs: number; speed: number; eventsMax: number },
): Generator<FlightEvent, undefined> {
  const first = events[0]
  const last = events.at(-1)
  if (first === undefined || last === undefined) return undefined
  // One minute between the last flight and the first of the next round.
  const roundMs = (last.timestamp - first.timestamp + 60_000) / speed
  let given = 0
  for (let round = 0; ; round++) {
    for (const event of events) {
      if (given++ >= eventsMax) return undefined
      const atMs = startMs + round * roundMs + (event.timestamp - first.timestamp) / speed
      yield { ...event, event_id: `demo-${startMs}-${round}-${event.event_id}`, timestamp: Math.round(atMs) }
    }
  }
}

/** A client of the gateway that logs in when it has to and tries again when that makes sense: ids make a repetition harmless. */
function createProducer({ url, account, signal }: Demo): { post: (events: readonly FlightEvent[]) => Promise<number> } {
  const { attemptsMax, retryDelayMs, retryDelayMaxMs, requestTimeoutMs } = limits.demo
  let token: string | undefined

  return { post }

  async function post(events: readonly FlightEvent[]): Promise<number> {
    let problem = ''
    for (let attempt = 1; attempt <= attemptsMax && !signal.aborted; attempt++) {
      try {
        token ??= await logIn()
        const response = await send('/events', events, { authorization: `Bearer ${token}` })
        const text = await response.text()
        if (response.ok) return events.length - rejectedIn(text)
        problem = `${response.status} ${text.slice(0, 500)}`
        if (response.status === 401) token = undefined
        else if (response.status !== 429 && response.status < 500) break
      } catch (error) {
        if (error instanceof LauncherError) throw error
        problem = error instanceof Error ? error.message : String(error)
      }
      await delay(Math.min(retryDelayMs * 2 ** attempt, retryDelayMaxMs), undefined, { signal }).catch(() => undefined)
    }
    if (signal.aborted) return 0
    throw new LauncherError('DEMO_FAILED', `POST ${url}/events was refused: ${problem}`)
  }

  function rejectedIn(text: string): number {
    const { rejected } = JSON.parse(text)
    if (!Array.isArray(rejected) || rejected.length === 0) return 0
    throw new LauncherError(
      'DEMO_FAILED',
      `The gateway rejected ${rejected.length} flights, the first because: ${JSON.stringify(rejected[0])}`,
    )
  }

  async function logIn(): Promise<string> {
    const response = await send('/api/v1/login', { username: account.username, password: account.password }, {})
    const text = await response.text()
    const answer = response.ok ? JSON.parse(text) : undefined
    if (typeof answer?.token === 'string') return answer.token
    if (response.status >= 500 || response.status === 429) throw new Error(`login gave ${response.status}`)
    throw new LauncherError(
      'DEMO_FAILED',
      `Login as ${account.username} gave ${response.status}: ${text.slice(0, 500)}`,
    )
  }

  async function send(path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Response> {
    return await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    })
  }
}
