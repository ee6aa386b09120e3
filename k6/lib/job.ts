import { check } from 'k6'
import type { RefinedResponse } from 'k6/http'
import http from 'k6/http'
import { Counter } from 'k6/metrics'
import { explain, type Role } from './session.ts'
import { gatewayUrl } from './settings.ts'

/** What a request is made of, beside its number. */
export interface JobContext {
  readonly authorization: string
  /** Counts the requests of the job in this run, over all virtual users. */
  readonly number: number
  /** Distinguishes this run's ids from those of every other. */
  readonly run: string
}

/** One kind of request. */
export interface Job {
  readonly role: Role
  /** The 95th percentile of its answers that the run's threshold asks for, milliseconds. Generous: `P95_MS` sets what an installation promises. */
  readonly p95Ms: number
  /** Sends one request and looks at the answer. Answers how many events, leads or rows that was; 0 when it was not as it must be. */
  readonly perform: (context: JobContext) => number
}

/** What a request needs besides its body. */
export interface JobRequest {
  readonly path: string
  /** The route, under which measurements of all its paths are kept together. */
  readonly route: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Events, leads or rows, over all requests that went well. */
export const items = new Counter('items')

/** Failures that a virtual user tells in full; the rest is in the counts. */
const failuresToldMax = 2
let failuresTold = 0

/** Sends a request: POST when there is a body. */
export function send(
  { authorization }: JobContext,
  { path, route, body, headers }: JobRequest,
): RefinedResponse<'text'> {
  const options = {
    headers: { ...headers, authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
    responseType: 'text',
    tags: { name: route },
  } as const
  const url = `${gatewayUrl}${path}`
  return body === undefined ? http.get(url, options) : http.post(url, body, options)
}

/** Checks an answer. `count` reads the items from its body, and is asked only when the status is as expected. */
export function accept(
  answer: RefinedResponse<'text'>,
  { status, wanted, count }: { status: number; wanted?: number; count: (body: Answer) => number },
): number {
  const found = answer.status === status ? count(JSON.parse(answer.body)) : -1
  const isRight = wanted === undefined ? found >= 0 : found === wanted
  check(isRight, { 'answered as it must be': (right) => right })
  if (isRight) {
    items.add(found)
    return found
  }
  if (failuresTold++ < failuresToldMax) console.error(`${answer.request.method} ${answer.url}: ${explain(answer)}`)
  return 0
}

/** What the scripts read of the gateway's answers. */
export interface Answer {
  readonly accepted?: number
  readonly lead_id?: string
  readonly outcome?: string
  readonly events?: readonly unknown[]
  readonly windows?: readonly unknown[]
  readonly leads?: readonly { readonly lead_id: string }[]
}
