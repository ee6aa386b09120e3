import { Writable } from 'node:stream'
import { createLogger, createMetrics } from '@millrace/kit'
import type { Reconciler, Reconciliation } from '@millrace/operations'
import { beforeEach, describe, expect, it } from 'vitest'
import { ReconciliationWatch } from './reconciliation-watch.ts'

let nowMs: number
let runs: number
let lost: number
let failure: Error | undefined
beforeEach(() => {
  nowMs = Date.UTC(2026, 10, 21, 9, 30)
  runs = 0
  lost = 0
  failure = undefined
})

const reconciler: Reconciler = {
  async run({ fromMs, toMs, boundMs }): Promise<Reconciliation> {
    if (failure !== undefined) throw failure
    runs++
    const totals = { gateway: 0, store: lost, waiting: 0, processor: 0 }
    const topic = {
      topic: 'events',
      store: 'clickhouse',
      minutes: [],
      differences: [],
      totals,
      isComplete: true,
    } as const
    return { fromMs, toMs, settledMs: toMs - boundMs, ranAtMs: nowMs, tookMs: 1, topics: [topic] }
  },
}

function open() {
  const registry = createMetrics({ service: 'watch-test', processMetrics: false })
  const logger = createLogger({ service: 'watch-test', level: 'fatal', destination: new Writable() })
  const parts = { open: async () => reconciler, registry, logger, nowMs: () => nowMs, everyMs: 0 }
  return { watch: new ReconciliationWatch(parts), registry }
}

describe('ReconciliationWatch', () => {
  it('answers the same again until it is not fresh any more; those who ask together share a run', async () => {
    const { watch } = open()
    const [one, other] = await Promise.all([watch.latest(), watch.latest()])
    expect(other).toBe(one)
    nowMs += 29_000
    expect(await watch.latest()).toBe(one)
    nowMs += 1_000
    expect(await watch.latest()).not.toBe(one)
    expect(runs).toBe(2)
  })

  it('tells differences and the age of the last run that came to its end', async () => {
    const { watch, registry } = open()
    lost = 3
    await watch.latest()
    nowMs += 60_000
    failure = new Error('Kafka is away')
    await expect(watch.latest()).rejects.toBe(failure)
    const text = await registry.metrics()
    expect(text).toMatch(/^millrace_reconciliation_difference\{topic="events",stage="store".*\} 3$/m)
    expect(text).toMatch(/^millrace_reconciliation_age_seconds.* 60$/m)
  })
})
