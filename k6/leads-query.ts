import { defineProfile } from './lib/profile.ts'
import { readLeads } from './lib/query-jobs.ts'

/** Stored leads, by page and by id. */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'leads-query',
  rate: 50,
  jobs: { 'leads-query': { job: readLeads, share: 1 } },
  seeds: ['leads'],
})
