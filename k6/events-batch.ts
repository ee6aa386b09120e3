import { eventBatch } from './lib/event-jobs.ts'
import { defineProfile } from './lib/profile.ts'

/** Events in arrays: `BATCH` per request (500). */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'events-batch',
  rate: 20,
  jobs: { 'event-batch': { job: eventBatch, share: 1 } },
})
