import type { CheckResult } from '../engine/checks.ts'
import type { FoundItem } from './found-records.ts'
import type { DownTime } from './gateway-under-test.ts'
import { answerMsMax, noticedMs, slowdownMax } from './limits.ts'
import { idOf, isAcknowledged, type SentRequest } from './requests.ts'

const mib = 1024 * 1024

/** Nothing that was answered with 2xx is missing. */
export function checkLost(title: string, sent: readonly SentRequest[], found: readonly FoundItem[]): CheckResult {
  const ids = new Set(found.map(({ id }) => id))
  const acknowledged = sent.filter(isAcknowledged)
  const broken: string[] = []
  let items = 0
  for (const { client, first, count, outcome } of acknowledged) {
    items += count
    for (let number = first; number < first + count; number++) {
      const id = idOf(client, number)
      if (!ids.has(id)) broken.push(`${id} was answered with "${outcome}" and is not there`)
    }
  }
  return { title, looked: `${items} acknowledged items`, broken }
}

/** Nothing is there twice, acknowledged or not. */
export function checkTwice(title: string, found: readonly FoundItem[]): CheckResult {
  const seen = new Map<string, FoundItem>()
  const broken: string[] = []
  for (const item of found) {
    const before = seen.get(item.id)
    if (before !== undefined) broken.push(`${item.id} is at ${placeOf(before)} and at ${placeOf(item)}`)
    seen.set(item.id, item)
  }
  return { title, looked: `${found.length} items`, broken }
}

/** Nothing is there that nobody sent. */
export function checkKnown(title: string, sent: readonly SentRequest[], found: readonly FoundItem[]): CheckResult {
  const ends = new Map<string, number>()
  for (const { client, first, count } of sent) ends.set(client, Math.max(ends.get(client) ?? 0, first + count))
  const unknown = found.filter(({ client, number }) => number >= (ends.get(client) ?? 0))
  return {
    title,
    looked: `${found.length} items`,
    broken: unknown.map((item) => `${item.id} at ${placeOf(item)} was never sent`),
  }
}

/**
 * The acknowledged events of a user are in the order in which they were sent: one request after the other, and within a request as in the body. What
 * nobody was told of may come late: its sender had no reason to wait for it.
 */
export function checkOrder(title: string, sent: readonly SentRequest[], found: readonly FoundItem[]): CheckResult {
  const firsts = new Map<string, number[]>()
  for (const request of sent) {
    if (!isAcknowledged(request)) continue
    const numbers = firsts.get(request.client) ?? []
    for (let number = request.first; number < request.first + request.count; number++) numbers[number] = 1
    firsts.set(request.client, numbers)
  }
  const last = new Map<string, FoundItem>()
  const broken: string[] = []
  let items = 0
  for (const item of found) {
    if (firsts.get(item.client)?.[item.number] === undefined) continue
    items++
    const before = last.get(item.client)
    if (before !== undefined && (before.number > item.number || before.partition !== item.partition)) {
      broken.push(`${item.id} at ${placeOf(item)} comes after ${before.id} at ${placeOf(before)}`)
    }
    last.set(item.client, item)
  }
  return { title, looked: `${items} acknowledged events of ${last.size} users`, broken }
}

/** Every request was answered in time, with 202, unless nobody listened; a gateway that says that it has too much to do is right to. */
export function checkAnswers(sent: readonly SentRequest[], downTimes: readonly DownTime[]): readonly CheckResult[] {
  const late = sent.filter(({ tookMs, outcome }) => outcome === 'hung' || (outcome !== 'lost' && tookMs > answerMsMax))
  const refused = sent.filter(({ outcome }) => outcome.startsWith('refused') && !outcome.endsWith(' OVERLOADED'))
  const lost = sent.filter((request) => request.outcome === 'lost' && !downTimes.some((down) => isIn(request, down)))
  const slowest = sent.reduce((most, { tookMs, outcome }) => (outcome === 'lost' ? most : Math.max(most, tookMs)), 0)
  return [
    {
      title: `every answer comes within ${answerMsMax / 1_000} s`,
      looked: `${sent.length} requests, the slowest took ${(slowest / 1_000).toFixed(1)} s`,
      broken: late.map((request) => `${textOf(request)} took ${Math.round(request.tookMs)} ms`),
    },
    { title: 'no request is refused', looked: `${sent.length} requests`, broken: refused.map(textOf) },
    {
      title: 'no connection is lost while the gateway runs',
      looked: `${sent.length} requests, ${downTimes.length} times without a gateway`,
      broken: lost.map(textOf),
    },
  ]
}

/** What a calm time looked like. */
export interface Calm {
  readonly after: string
  readonly fromMs: number
  readonly toMs: number
}

/** After a fault the answers are as quick as before, or nearly. */
export function checkLatency(sent: readonly SentRequest[], calms: readonly Calm[]): CheckResult {
  const [before, ...later] = calms.map((calm) => ({ ...calm, ms: medianIn(sent, calm) }))
  const bound = Math.max((before?.ms ?? 0) * slowdownMax, noticedMs)
  return {
    title: `the median answer is as quick as before, within ${bound.toFixed(0)} ms`,
    looked: `${(before?.ms ?? 0).toFixed(1)} ms before, then ${later.map(({ ms }) => ms.toFixed(1)).join(', ')}`,
    broken: later.filter(({ ms }) => !(ms <= bound)).map(({ after, ms }) => `after ${after} it is ${ms.toFixed(1)} ms`),
  }
}

/** Memory stays bounded by what the budgets allow, however long Kafka is away. */
export function checkMemory(baseBytes: number, peakBytes: number, growthBytesMax: number): CheckResult {
  const grown = peakBytes - baseBytes
  return {
    title: `the gateway grows by at most ${growthBytesMax / mib} MiB`,
    looked: `${(baseBytes / mib).toFixed(0)} MiB in the first calm, ${(peakBytes / mib).toFixed(0)} MiB at the most`,
    broken: grown <= growthBytesMax ? [] : [`it grew by ${(grown / mib).toFixed(0)} MiB`],
  }
}

/** NaN when nothing was answered. */
function medianIn(sent: readonly SentRequest[], { fromMs, toMs }: Calm): number {
  const times = sent
    .filter((request) => request.startedMs >= fromMs && request.startedMs < toMs && isAcknowledged(request))
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b)
  return times[times.length >> 1] ?? Number.NaN
}

/** Whether a request ended in a time without a gateway; a poll later, because that is how its end was seen. */
function isIn({ startedMs, tookMs }: SentRequest, { fromMs, toMs }: DownTime): boolean {
  const endedMs = startedMs + tookMs
  return endedMs >= fromMs - 100 && endedMs <= toMs + 1_000
}

function placeOf({ partition, offset }: FoundItem): string {
  return `${partition}/${offset}`
}

function textOf({ client, kind, first, outcome }: SentRequest): string {
  return `${kind} request ${first} of ${client}: ${outcome}`
}
