import { accept, type Job, type JobContext, send } from './job.ts'
import { numberSetting } from './settings.ts'

/** Users whose events are sent; each keeps its order in a partition of its own. */
export const users = numberSetting('USERS', { fallback: 10_000, min: 1, max: 10_000_000 })

/** Kinds of events, the frequent ones more than once. */
export const eventTypes = ['view', 'view', 'view', 'view', 'click', 'click', 'search', 'share', 'purchase']

const batch = numberSetting('BATCH', { fallback: 500, min: 1, max: 10_000 })
const pages = ['/', '/pricing', '/docs/streams', '/docs/operations', '/blog/exactly-once']

/** The event with this number: some 220 bytes of JSON, as trackers of web pages send them. */
export function eventOf(run: string, number: number): object {
  return {
    event_id: `${run}-${number}`,
    user_id: `user-${(number * 7_919) % users}`,
    event_type: eventTypes[number % eventTypes.length],
    timestamp: Date.now(),
    metadata: {
      value: number % 100,
      page: pages[number % pages.length],
      referrer: 'https://search.example/results',
      device: number % 3 === 0 ? 'desktop' : 'phone',
    },
  }
}

/** One event per request, as browsers send them. */
export const singleEvent: Job = {
  role: 'producer',
  p95Ms: 250,
  perform(context) {
    const body = JSON.stringify(eventOf(context.run, context.number))
    const answer = send(context, { path: '/api/v1/events', route: '/api/v1/events', body })
    return accept(answer, { status: 202, wanted: 1, count: ({ accepted }) => accepted ?? -1 })
  },
}

/** Arrays of events, as servers send them. */
export const eventBatch: Job = {
  role: 'producer',
  p95Ms: 500,
  perform(context) {
    const answer = postEvents(context, context.number * batch, batch)
    return accept(answer, { status: 202, wanted: batch, count: ({ accepted }) => accepted ?? -1 })
  },
}

/** Sends the events from a number on, in one array. */
export function postEvents(context: JobContext, from: number, count: number, query = '') {
  const events = Array.from({ length: count }, (_, i) => eventOf(context.run, from + i))
  return send(context, { path: `/api/v1/events${query}`, route: '/api/v1/events', body: JSON.stringify(events) })
}
