import { asyncLead } from './lib/lead-jobs.ts'
import { defineProfile } from './lib/profile.ts'

/** Leads that are answered when Kafka has them. */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'leads-async',
  rate: 200,
  jobs: { 'lead-async': { job: asyncLead, share: 1 } },
})
