import { leadBatch } from './lib/lead-jobs.ts'
import { defineProfile } from './lib/profile.ts'

/** Leads in arrays: `LEADS_BATCH` per request (100). */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'leads-bulk',
  rate: 10,
  jobs: { 'lead-batch': { job: leadBatch, share: 1 } },
})
