import { accept, type Job, type JobContext, send } from './job.ts'
import { numberSetting } from './settings.ts'

const batch = numberSetting('LEADS_BATCH', { fallback: 100, min: 1, max: 10_000 })

/** The lead with this number: a form with some fields of its own. */
export function leadOf(run: string, number: number): object {
  return {
    first_name: 'Ada',
    last_name: `Lovelace ${number}`,
    email: `${run}-${number}@load.example`,
    phone: '+44 20 7946 0018',
    city: 'London',
    country: 'GB',
    source: 'load',
    campaign: `campaign-${number % 20}`,
    consent: true,
    attributes: { budget: (number % 50) * 100, product: 'analytics' },
  }
}

/** Leads whose outcome is waited for: until the database has them. */
export const syncLead: Job = {
  role: 'submitter',
  p95Ms: 2_000,
  perform(context) {
    const answer = post(context, '/api/v1/lead/process', leadOf(context.run, context.number))
    return accept(answer, { status: 201, wanted: 1, count: ({ outcome }) => (outcome === 'stored' ? 1 : -1) })
  },
}

/** Leads that are answered when Kafka has them. */
export const asyncLead: Job = {
  role: 'submitter',
  p95Ms: 250,
  perform(context) {
    const answer = post(context, '/api/v1/lead/process-async', leadOf(context.run, context.number))
    return accept(answer, { status: 202, wanted: 1, count: ({ lead_id: id }) => (id === undefined ? -1 : 1) })
  },
}

/** Many leads per request. */
export const leadBatch: Job = {
  role: 'submitter',
  p95Ms: 1_000,
  perform(context) {
    const answer = postLeads(context, context.number * batch, batch)
    return accept(answer, { status: 202, wanted: batch, count: ({ accepted }) => accepted ?? -1 })
  },
}

/** Sends the leads from a number on, in one array. */
export function postLeads(context: JobContext, from: number, count: number) {
  const leads = Array.from({ length: count }, (_, i) => leadOf(context.run, from + i))
  return post(context, '/api/v1/leads/process-bulk', leads)
}

/** With a key, as clients should send it: a repetition is harmless. */
function post(context: JobContext, path: string, body: object) {
  const headers = { 'idempotency-key': `${context.run}-${path}-${context.number}` }
  return send(context, { path, route: path, body: JSON.stringify(body), headers })
}
