import { eventBatch, singleEvent } from './lib/event-jobs.ts'
import { asyncLead, leadBatch, syncLead } from './lib/lead-jobs.ts'
import { defineProfile } from './lib/profile.ts'
import { readEvents, readLeads, readStats } from './lib/query-jobs.ts'

/** Everything at once, as a day's traffic has it: mostly single events, dashboards beside them, and some of all others. */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'mixed',
  rate: 200,
  jobs: {
    event: { job: singleEvent, share: 60 },
    'event-batch': { job: eventBatch, share: 3 },
    'lead-async': { job: asyncLead, share: 8 },
    'lead-sync': { job: syncLead, share: 4 },
    'lead-batch': { job: leadBatch, share: 1 },
    stats: { job: readStats, share: 15 },
    'events-query': { job: readEvents, share: 4 },
    'leads-query': { job: readLeads, share: 5 },
  },
  seeds: ['events', 'leads'],
})
