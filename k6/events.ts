import { singleEvent } from './lib/event-jobs.ts'
import { defineProfile } from './lib/profile.ts'

/** One event per request. */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'events',
  rate: 200,
  jobs: { event: { job: singleEvent, share: 1 } },
})
