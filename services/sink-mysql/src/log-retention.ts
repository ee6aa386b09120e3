import { Counter, type Logger, type Registry, sleep } from '@millrace/kit'
import type { ApiLogPartitions } from '@millrace/storage/mysql'
import { retentionIntervalMs, retentionRetryMs } from './limits.ts'

/** What keeping the API's log needs. */
export interface LogRetentionOptions {
  readonly partitions: ApiLogPartitions
  readonly retentionDays: number
  readonly metrics: Registry
  readonly logger: Logger
  /** Waits; rejects when the signal aborts. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** Something that works until it is closed. */
export interface LogRetention {
  /** Ends it; a change that is on its way is waited for. Idempotent. */
  close(): Promise<void>
}

/**
 * Keeps the days of the API's log: makes those to come and drops those past their retention, now and every hour. Of several sinks one does it at a time. A failure is
 * logged and counted, and tried again after a minute: rows are stored all the same.
 */
export function startLogRetention(options: LogRetentionOptions): LogRetention {
  const { partitions, retentionDays, logger, pause = sleep } = options
  const registers = [options.metrics]
  const made = new Counter({
    name: 'millrace_api_log_days_made_total',
    help: 'Partitions of days made in the tables of the API logs.',
    labelNames: ['table'],
    registers,
  })
  const dropped = new Counter({
    name: 'millrace_api_log_days_dropped_total',
    help: 'Partitions of days dropped from the tables of the API logs, past their retention.',
    labelNames: ['table'],
    registers,
  })
  const failures = new Counter({
    name: 'millrace_api_log_retention_failures_total',
    help: 'Times that the partitions of the API logs could not be looked after.',
    registers,
  })
  const abort = new AbortController()
  const ended = run()

  async function run(): Promise<void> {
    while (!abort.signal.aborted) {
      const waitMs = (await keep()) ? retentionIntervalMs : retentionRetryMs
      // Only closing ends the wait early.
      await pause(waitMs, abort.signal).catch(() => {})
    }
  }

  async function keep(): Promise<boolean> {
    try {
      const changes = (await partitions.maintain({ retentionDays })) ?? []
      for (const { table, made: days, dropped: gone } of changes) {
        made.inc({ table }, days.length)
        dropped.inc({ table }, gone.length)
        if (days.length === 0 && gone.length === 0) continue
        const fields = { table, made: days, dropped: gone, retention_days: retentionDays }
        logger.info(fields, 'days of the API log made and dropped')
      }
      return true
    } catch (error) {
      failures.inc()
      logger.warn({ err: error }, 'the days of the API log could not be looked after: trying again')
      return false
    }
  }

  return {
    close() {
      abort.abort()
      return ended
    },
  }
}
