import { Counter, Gauge, Histogram, type Logger, type Registry } from '@millrace/kit'
import type { AppProbes, DroppedRecords } from '@millrace/streams'

/** A log line about dropped or failed records at most this often per reason: they come in thousands. */
const sampleIntervalMs = 10_000

/** What the engine tells as it happens, as figures for Prometheus, and sampled log lines about records that were not processed to the end. */
export function engineMetrics(registry: Registry, logger: Logger): AppProbes {
  const registers = [registry]
  const processed = new Counter({
    name: 'millrace_records_processed_total',
    help: 'Records taken from the inputs.',
    labelNames: ['task'],
    registers,
  })
  const dropped = new Counter({
    name: 'millrace_records_dropped_total',
    help: 'Records that were not processed to the end, by node and reason; late ones once per window.',
    labelNames: ['task', 'node', 'reason'],
    registers,
  })
  const failed = new Counter({
    name: 'millrace_records_failed_total',
    help: 'Records that failed, by stage and what was done.',
    labelNames: ['stage', 'action'],
    registers,
  })
  const commits = new Histogram({
    name: 'millrace_commit_seconds',
    help: 'Time of a commit, from the first flush to the last store.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  })
  const sent = new Counter({
    name: 'millrace_records_sent_total',
    help: 'Records sent, by kind.',
    labelNames: ['kind'],
    registers,
  })
  const restarts = new Counter({
    name: 'millrace_engine_restarts_total',
    help: 'Times the work since the last commit was done again, by cause.',
    labelNames: ['code'],
    registers,
  })
  const restored = new Gauge({
    name: 'millrace_restore_records',
    help: 'Records read by the restore under way or the last one.',
    registers,
  })
  const remaining = new Gauge({
    name: 'millrace_restore_remaining_offsets',
    help: 'Offsets that the restore under way has still to pass.',
    registers,
  })
  const restoreRate = new Gauge({
    name: 'millrace_restore_records_per_second',
    help: 'Records per second of the restore under way or the last one, since it began.',
    registers,
  })
  const mayLog = sampler()

  return {
    processed: (task, records) => processed.inc({ task }, records),
    dropped(drop) {
      const { taskId: task, node, reason, records } = drop
      dropped.inc({ task, node, reason }, records)
      if (mayLog(reason)) logger.warn(fieldsOf(drop), 'records dropped (this line is a sample)')
    },
    failed({ taskId, stage, error, action }) {
      failed.inc({ stage, action })
      if (mayLog(`${stage} ${action}`)) {
        logger.warn({ task: taskId, stage, action, err: error }, 'record failed (this line is a sample)')
      }
    },
    committed({ durationMs, records, changelogRecords }) {
      commits.observe(durationMs / 1_000)
      sent.inc({ kind: 'output' }, records)
      sent.inc({ kind: 'changelog' }, changelogRecords)
    },
    restoring(progress) {
      restored.set(progress.records)
      remaining.set(progress.remaining)
      restoreRate.set(progress.recordsPerSecond)
    },
    restarted: (code) => restarts.inc({ code }),
  }
}

/** Log fields of the engine and of this service, besides those every service has. */
export const processorLogFields = [
  'state',
  'from',
  'task',
  'tasks',
  'stage',
  'action',
  'store',
  'stores',
  'remaining',
  'records',
  'records_per_second',
  'seconds_left',
  'moved_to',
  'node',
  'window_start',
  'stream_time',
  'directory',
  'guarantee',
  'application_id',
] as const

function fieldsOf({ taskId, node, reason, records, window }: DroppedRecords): Record<string, unknown> {
  return {
    task: taskId,
    node,
    reason,
    records,
    ...(window === undefined ? {} : { window_start: window.windowStartMs, stream_time: window.streamTimeMs }),
  }
}

function sampler(): (key: string) => boolean {
  const lastMs = new Map<string, number>()
  return (key) => {
    const nowMs = performance.now()
    const last = lastMs.get(key)
    if (last !== undefined && nowMs - last < sampleIntervalMs) return false
    lastMs.set(key, nowMs)
    return true
  }
}
