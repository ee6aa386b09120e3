import { scenario } from 'k6/execution'
import type { Options, Scenario } from 'k6/options'
import type { Job } from './job.ts'
import { seedEventStore, seedLeadStore } from './seed.ts'
import { logIn, type Role, type Session, Tokens } from './session.ts'
import { durationSetting, numberSetting, textSetting } from './settings.ts'
import { type SummaryData, summaryText } from './summary.ts'

/** A load: jobs side by side, each with its part of the requests. */
export interface Profile {
  readonly name: string
  /** Requests per second of all jobs together, unless `RATE` says another number. */
  readonly rate: number
  /** The jobs, by names that the summary shows. The shares need not add up to one. */
  readonly jobs: Readonly<Record<string, { readonly job: Job; readonly share: number }>>
  /** Queries need something to find: what `setup` stores first. */
  readonly seeds?: readonly ('events' | 'leads')[]
}

/** What k6 wants of a script. */
export interface ProfileScript {
  readonly options: Options
  readonly setup: () => SetupData
  readonly run: (data: SetupData) => void
  readonly handleSummary: (data: SummaryData) => Record<string, string>
}

/** What `setup` hands to the virtual users. */
export interface SetupData {
  readonly run: string
  readonly sessions: Readonly<Partial<Record<Role, Session>>>
}

/** An open load: requests begin at their times, whether those before have been answered or not, so that a slow service cannot slow its own measurement down. */
export function defineProfile(profile: Profile): ProfileScript {
  const jobs = Object.entries(profile.jobs)
  const sharesTotal = jobs.reduce((sum, [, { share }]) => sum + share, 0)
  const rate = numberSetting('RATE', { fallback: profile.rate, min: 1, max: 100_000 })
  const duration = durationSetting('DURATION', '30s')
  const vusMax = numberSetting('VUS_MAX', { fallback: 300, min: jobs.length, max: 10_000 })
  const summaryFile = textSetting('SUMMARY_FILE', '')

  const scenarioOf = (share: number): Scenario => {
    const part = share / sharesTotal
    const vus = Math.max(1, Math.floor(vusMax * part))
    // Per minute, because a small share of a low rate is less than one in a second.
    const perMinute = Math.max(1, Math.round(rate * part * 60))
    return {
      executor: 'constant-arrival-rate',
      rate: perMinute,
      timeUnit: '1m',
      duration,
      // Virtual users that are made while it runs disturb what is measured: most are there from the start.
      preAllocatedVUs: Math.ceil(vus / 3),
      maxVUs: vus,
      exec: 'run',
      gracefulStop: '15s',
    }
  }

  let tokens: Tokens | undefined
  return {
    options: {
      scenarios: Object.fromEntries(jobs.map(([name, { share }]) => [name, scenarioOf(share)])),
      thresholds: thresholdsOf(jobs.map(([name, { job }]) => [name, job])),
      summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max', 'count'],
      setupTimeout: '180s',
      discardResponseBodies: true,
      userAgent: 'millrace-load',
    },

    setup() {
      const run = `load-${Date.now().toString(36)}`
      const wanted = new Set(jobs.map(([, { job }]) => job.role))
      if (profile.seeds?.includes('events')) wanted.add('producer')
      if (profile.seeds?.includes('leads')) wanted.add('submitter').add('admin')
      const sessions = Object.fromEntries([...wanted].map((role) => [role, logIn(role)]))
      const context = (role: Role) => {
        return { authorization: `Bearer ${sessions[role]?.token}`, number: 0, run: `${run}-seed` }
      }
      if (profile.seeds?.includes('events')) seedEventStore(context('producer'))
      if (profile.seeds?.includes('leads')) seedLeadStore(context('submitter'), context('admin'))
      return { run, sessions }
    },

    run({ run, sessions }) {
      tokens ??= new Tokens(sessions)
      const { name, iterationInTest } = scenario
      const job = profile.jobs[name]?.job
      if (job === undefined) throw new Error(`the profile ${profile.name} has no job "${name}"`)
      // The job's name is part of its ids: two jobs of one profile may send the same kind of thing.
      job.perform({
        authorization: tokens.authorization(job.role),
        number: iterationInTest,
        run: `${run}-${name}`,
      })
    },

    handleSummary(data) {
      const report = { profile: profile.name, rate, duration, vusMax, ...data }
      const text = summaryText(
        report,
        jobs.map(([name]) => name),
      )
      return { stdout: text, ...(summaryFile !== '' && { [summaryFile]: JSON.stringify(report, null, 2) }) }
    },
  }
}

/**
 * What makes a run fail: an answer that is not as it must be, answers that are too late, and requests that were not sent at their time, for then less
 * was asked of the service than the report would say.
 */
function thresholdsOf(jobs: readonly (readonly [string, Job])[]): NonNullable<Options['thresholds']> {
  const p95Ms =
    textSetting('P95_MS', '') === '' ? undefined : numberSetting('P95_MS', { fallback: 1, min: 1, max: 60_000 })
  const thresholds: Record<string, string[]> = { checks: ['rate==1'], dropped_iterations: ['count==0'] }
  for (const [name, job] of jobs) {
    thresholds[`http_req_duration{scenario:${name}}`] = [`p(95)<${p95Ms ?? job.p95Ms}`]
    thresholds[`http_req_failed{scenario:${name}}`] = ['rate==0']
    // No bound: a part of a metric is counted only when a threshold names it.
    thresholds[`items{scenario:${name}}`] = ['count>=0']
    thresholds[`dropped_iterations{scenario:${name}}`] = ['count==0']
  }
  return thresholds
}
