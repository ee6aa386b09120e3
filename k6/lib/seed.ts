import { sleep } from 'k6'
import { postEvents } from './event-jobs.ts'
import type { JobContext } from './job.ts'
import { send } from './job.ts'
import { postLeads } from './lead-jobs.ts'
import { explain } from './session.ts'
import { numberSetting } from './settings.ts'

const seedEvents = numberSetting('SEED_EVENTS', { fallback: 20_000, min: 0, max: 10_000_000 })
const seedLeads = numberSetting('SEED_LEADS', { fallback: 2_000, min: 0, max: 1_000_000 })

const perRequest = 1_000
/** How often, and how many times, the store is asked whether it has all leads. */
const askEveryS = 0.5
const asksMax = 240

/** Gives queries something to find: events, until the event store shows the last of them. Throws when the gateway refuses. */
export function seedEventStore(context: JobContext): void {
  for (let sent = 0; sent < seedEvents; sent += perRequest) {
    const count = Math.min(perRequest, seedEvents - sent)
    // The last request waits for the store, and so for all before it that went to the same partitions.
    const answer = postEvents(context, sent, count, sent + count === seedEvents ? '?wait=stored' : '')
    if (answer.status !== 202 && answer.status !== 200) throw new Error(`events were refused: ${explain(answer)}`)
  }
}

/** Leads, until a page of them shows. `admin` reads, `submitter` writes. */
export function seedLeadStore(submitter: JobContext, admin: JobContext): void {
  if (seedLeads === 0) return
  for (let sent = 0; sent < seedLeads; sent += perRequest) {
    const answer = postLeads({ ...submitter, number: sent }, sent, Math.min(perRequest, seedLeads - sent))
    if (answer.status !== 202) throw new Error(`leads were refused: ${explain(answer)}`)
  }
  const path = `/api/v1/leads?email=${encodeURIComponent(`${submitter.run}-${seedLeads - 1}@load.example`)}`
  for (let asks = 0; asks < asksMax; asks++) {
    const answer = send(admin, { path, route: '/api/v1/leads' })
    if (answer.status === 200 && JSON.parse(answer.body).leads.length > 0) return
    sleep(askEveryS)
  }
  throw new Error(`the leads were not stored within ${asksMax * askEveryS} s`)
}
