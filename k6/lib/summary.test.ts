import { describe, expect, it } from 'vitest'
import { summaryText } from './summary.ts'

const data = {
  profile: 'events',
  rate: 100,
  duration: '30s',
  state: { testRunDurationMs: 30_000 },
  metrics: {
    checks: { values: { passes: 2_990, fails: 3 }, thresholds: { 'rate==1': { ok: false } } },
    'http_req_duration{scenario:event}': {
      values: { count: 2_993, med: 4.24, 'p(95)': 31.4, 'p(99)': 180.2, max: 2_412.7 },
      thresholds: { 'p(95)<250': { ok: true } },
    },
    'http_req_failed{scenario:event}': { values: { passes: 3, fails: 2_990 } },
    'items{scenario:event}': { values: { count: 2_990 } },
    'dropped_iterations{scenario:event}': { values: { count: 7 }, thresholds: { 'count==0': { ok: false } } },
  },
}

describe('the summary of a load test', () => {
  it('has a row per job, and names what did not hold', () => {
    expect(summaryText(data, ['event'])).toBe(`
events: 100 requests per second for 30s

job    requests  items  failed  not sent  median    p95     p99  slowest
event      2993   2990       3         7  4.2 ms  31 ms  180 ms  2413 ms

3 answers were not as they must be. Thresholds that did not hold:
  checks: not rate==1
  dropped_iterations{scenario:event}: not count==0

`)
  })

  it('says so when everything held, and shows a job that sent nothing', () => {
    const metrics = { 'http_req_duration{scenario:event}': { values: { count: 1 } } }
    const text = summaryText({ ...data, metrics }, ['event', 'stats'])
    expect(text).toContain('stats         0      0       0         0  0.0 ms')
    expect(text).toContain('0 answers were not as they must be. Every threshold held.')
  })

  it('does not call a run good that has measured nothing', () => {
    expect(summaryText({ ...data, metrics: {} }, ['stats'])).toBe(
      '\nevents: no request was sent, and nothing was measured.\n\n',
    )
  })
})
