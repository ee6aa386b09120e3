import { syncLead } from './lib/lead-jobs.ts'
import { defineProfile } from './lib/profile.ts'

/** Leads whose outcome is waited for. */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'leads-sync',
  rate: 50,
  jobs: { 'lead-sync': { job: syncLead, share: 1 } },
})
