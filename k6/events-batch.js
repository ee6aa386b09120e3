// Events in arrays, at a constant arrival rate: `k6 run -e RATE=200 k6/events-batch.js`.
// RATE: requests per second (default 50) · BATCH: events per request (default 500) · DURATION (default 30s).
import { check } from 'k6'
import exec from 'k6/execution'
import http from 'k6/http'

const url = __ENV.MILLRACE_GATEWAY_URL || 'http://127.0.0.1:8080'
const batch = Number(__ENV.BATCH || 500)
const types = ['view', 'click', 'search', 'purchase', 'share']

export const options = {
  scenarios: {
    events: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE || 50),
      timeUnit: '1s',
      duration: __ENV.DURATION || '30s',
      preAllocatedVUs: 50,
      maxVUs: 200,
    },
  },
  thresholds: { http_req_failed: ['rate==0'], checks: ['rate==1'], http_req_duration: ['p(95)<250'] },
}

export function setup() {
  const credentials = { username: __ENV.MILLRACE_USER || 'api_user', password: __ENV.MILLRACE_PASSWORD || 'api123' }
  const answer = http.post(`${url}/api/v1/login`, JSON.stringify(credentials), {
    headers: { 'content-type': 'application/json' },
  })
  if (answer.status !== 200) exec.test.abort(`login gave ${answer.status}: ${answer.body}`)
  return { token: answer.json('token'), run: `k6-${Date.now()}` }
}

export default function post({ token, run }) {
  const now = Date.now()
  const events = Array.from({ length: batch }, (_, index) => {
    const number = exec.scenario.iterationInTest * batch + index
    return {
      event_id: `${run}-${number}`,
      user_id: `user-${number % 10000}`,
      event_type: types[number % types.length],
      timestamp: now,
      metadata: { value: number % 100, page: '/pricing' },
    }
  })
  const answer = http.post(`${url}/events`, JSON.stringify(events), {
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
  })
  check(answer, { 'all accepted': (r) => r.status === 202 && r.json('accepted') === batch })
}
