import { eventTypes, users } from './event-jobs.ts'
import { type Answer, accept, type Job, send } from './job.ts'

const intervals = ['10s', '1m', '5m', '1h']

/** Windows of the last hours as a dashboard asks for them: one type or all, each interval in turn. Answered from memory. */
export const readStats: Job = {
  role: 'analyst',
  p95Ms: 250,
  perform(context) {
    const { number } = context
    const type = number % 4 === 0 ? '' : `&event_type=${eventTypes[number % eventTypes.length]}`
    const path = `/api/v1/stats?time_interval=${intervals[number % intervals.length]}&limit=200${type}`
    const answer = send(context, { path, route: '/api/v1/stats' })
    return accept(answer, { status: 200, count: ({ windows }) => windows?.length ?? -1 })
  },
}

/** Newest events of a user, and now and then of a type: from the event store. */
export const readEvents: Job = {
  role: 'analyst',
  p95Ms: 1_000,
  perform(context) {
    const { number } = context
    const of =
      number % 5 === 0
        ? `event_type=${eventTypes[number % eventTypes.length]}`
        : `user_id=user-${(number * 7_919) % users}`
    const answer = send(context, { path: `/api/v1/events?${of}&limit=100`, route: '/api/v1/events' })
    return accept(answer, { status: 200, count: ({ events }) => events?.length ?? -1 })
  },
}

/** The ids that this virtual user has seen on a page. */
let seen: readonly string[] = []

/** Pages of leads, and one lead of each page by its id: from MySQL. */
export const readLeads: Job = {
  role: 'admin',
  p95Ms: 1_000,
  perform(context) {
    const { number } = context
    const [id, ...rest] = seen
    if (id !== undefined) {
      seen = rest
      const answer = send(context, { path: `/api/v1/leads/${id}`, route: '/api/v1/leads/{lead_id}' })
      return accept(answer, { status: 200, wanted: 1, count: ({ lead_id: found }) => (found === id ? 1 : -1) })
    }
    const answer = send(context, { path: `/api/v1/leads?page=${1 + (number % 10)}&limit=50`, route: '/api/v1/leads' })
    return accept(answer, { status: 200, count: countLeads })
  },
}

function countLeads({ leads }: Answer): number {
  seen = leads?.slice(0, 1).map(({ lead_id: id }) => id) ?? []
  return leads?.length ?? -1
}
