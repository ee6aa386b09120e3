import { createLogger, createMetrics } from '@millrace/kit'
import { type PartitionChange, StorageError } from '@millrace/storage/mysql'
import { describe, expect, it } from 'vitest'
import { retentionIntervalMs, retentionRetryMs } from './limits.ts'
import { startLogRetention } from './log-retention.ts'

/** Runs through the answers, one per turn, and closes. */
async function runThrough(answers: readonly (readonly PartitionChange[] | undefined | Error)[]) {
  const metrics = createMetrics({ service: 'test' })
  const logger = createLogger({ service: 'test', level: 'silent' })
  const waits: number[] = []
  const asked: number[] = []
  const left = [...answers]
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const retention = startLogRetention({
    retentionDays: 30,
    metrics,
    logger,
    partitions: {
      async maintain({ retentionDays }) {
        asked.push(retentionDays)
        const answer = left.shift()
        if (answer instanceof Error) throw answer
        return answer
      },
    },
    pause(ms, signal) {
      waits.push(ms)
      if (left.length > 0) return Promise.resolve()
      finish()
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('closed'))))
    },
  })
  await finished
  await retention.close()
  return { waits, asked, text: await metrics.metrics() }
}

describe('startLogRetention', () => {
  it('counts what was made and dropped, and comes back every hour', async () => {
    const change = { table: 'api_request_logs', made: ['p1', 'p2'], dropped: ['p0'] }
    const { waits, asked, text } = await runThrough([[change], undefined])
    expect(asked).toEqual([30, 30])
    expect(waits).toEqual([retentionIntervalMs, retentionIntervalMs])
    expect(text).toMatch(/millrace_api_log_days_made_total\{.*table="api_request_logs".*\} 2/)
    expect(text).toMatch(/millrace_api_log_days_dropped_total\{.*table="api_request_logs".*\} 1/)
  })

  it('counts a failure, comes back sooner, and goes on', async () => {
    const { waits, text } = await runThrough([new StorageError('UNAVAILABLE', 'away'), undefined])
    expect(waits).toEqual([retentionRetryMs, retentionIntervalMs])
    expect(text).toMatch(/millrace_api_log_retention_failures_total(\{.*\})? 1/)
  })
})
