import { KitError } from '@millrace/kit'
import { expect, it } from 'vitest'
import { advertisedEndpoint, processorConfig } from './config.ts'

it('has defaults for development on one machine', () => {
  const config = processorConfig({})
  expect(config).toMatchObject({
    env: 'production',
    brokers: ['127.0.0.1:9092'],
    healthPort: 8090,
    applicationId: 'millrace-processor',
    guarantee: 'exactly_once',
    commitIntervalMs: 100,
    graceMs: 60_000,
    retentionMs: 604_800_000,
    idleMs: 5_000,
    restartGrace: false,
    standbys: 0,
    stateCleanupDelayMs: 600_000,
  })
  expect(config.stateDirectory.endsWith('/.millrace/state/millrace-processor')).toBe(true)
})

it('reports every fault at once', () => {
  try {
    processorConfig({
      MILLRACE_PROCESSING_GUARANTEE: 'at_most_once',
      MILLRACE_GRACE_MS: '-1',
      MILLRACE_APPLICATION_ID: 'has spaces',
      MILLRACE_STATE_MEMORY_MIB: 'much',
    })
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(KitError)
    const problems = error instanceof KitError ? error.problems : []
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      'MILLRACE_APPLICATION_ID',
      'MILLRACE_PROCESSING_GUARANTEE',
      'MILLRACE_GRACE_MS',
      'MILLRACE_STATE_MEMORY_MIB',
    ])
  }
})

it('compares what must fit together', () => {
  expect(() => processorConfig({ MILLRACE_COMMIT_INTERVAL_MS: '30000', MILLRACE_SESSION_TIMEOUT_MS: '20000' })).toThrow(
    'MILLRACE_COMMIT_INTERVAL_MS (30000) must be below MILLRACE_SESSION_TIMEOUT_MS (20000)',
  )
  expect(() => processorConfig({ MILLRACE_GRACE_MS: '86400000', MILLRACE_RETENTION_MS: '3600000' })).toThrow(
    'MILLRACE_RETENTION_MS',
  )
})

it('tells others where it can be asked, unless it listens everywhere', () => {
  const url = 'http://127.0.0.1:8090'
  expect(advertisedEndpoint(processorConfig({}), url)).toBe(url)
  const everywhere = { MILLRACE_HEALTH_HOST: '0.0.0.0' }
  expect(advertisedEndpoint(processorConfig(everywhere), url)).toBeUndefined()
  const named = { ...everywhere, MILLRACE_QUERY_ENDPOINT: 'http://processor-1:8090/' }
  expect(advertisedEndpoint(processorConfig(named), url)).toBe('http://processor-1:8090')
})
