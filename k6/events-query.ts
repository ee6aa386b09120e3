import { defineProfile } from './lib/profile.ts'
import { readEvents } from './lib/query-jobs.ts'

/** Stored events of users and types. */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'events-query',
  rate: 20,
  jobs: { 'events-query': { job: readEvents, share: 1 } },
  seeds: ['events'],
})
