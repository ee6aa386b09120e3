import { expect, test } from 'vitest'
import { parseHealth } from './health.ts'

test('parseHealth reads every check, with or without a latency', () => {
  const answer = {
    status: 'degraded',
    checks: { kafka: { status: 'ok', latency_ms: 1.5 }, mysql: { status: 'down' } },
    version: '0.1.0',
  }
  expect(parseHealth(answer)).toEqual({
    status: 'degraded',
    checks: [
      { name: 'kafka', status: 'ok', latencyMs: 1.5 },
      { name: 'mysql', status: 'down', latencyMs: null },
    ],
    version: '0.1.0',
  })
})

test('parseHealth names the faulty check', () => {
  expect(() => parseHealth({ status: 'ok', checks: { kafka: 'ok' } })).toThrow(/checks\.kafka/)
})
