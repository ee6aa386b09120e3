import { defineProfile } from './lib/profile.ts'
import { readStats } from './lib/query-jobs.ts'

/** Windows of statistics, as dashboards ask for them. */
export const { options, setup, run, handleSummary } = defineProfile({
  name: 'stats',
  rate: 200,
  jobs: { stats: { job: readStats, share: 1 } },
  seeds: ['events'],
})
