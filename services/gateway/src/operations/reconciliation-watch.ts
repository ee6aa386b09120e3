import { Gauge, type Logger, type Registry } from '@millrace/kit'
import {
  type Reconciler,
  type Reconciliation,
  reconciledMsDefault,
  reconciliationBoundMsDefault,
  reconciliationStages,
} from '@millrace/operations'
import { reconciliationFreshMs } from '../limits.ts'

/** What the watch needs. */
export interface ReconciliationWatchParts {
  /** Opened at the first run: it asks the schema registry. */
  readonly open: () => Promise<Reconciler>
  readonly registry: Registry
  readonly logger: Logger
  readonly nowMs: () => number
  /** Pause between two runs; 0: it runs only when somebody asks. */
  readonly everyMs: number
}

/** Reconciles the last hour now and again, and keeps what it found. */
export class ReconciliationWatch {
  readonly #parts: ReconciliationWatchParts
  readonly #stop = new AbortController()
  #reconciler: Promise<Reconciler> | undefined
  #running: Promise<Reconciliation> | undefined
  #last: Reconciliation | undefined
  #timer: NodeJS.Timeout | undefined

  /** Registers the gauges; nothing runs before `begin`. */
  constructor(parts: ReconciliationWatchParts) {
    this.#parts = parts
    const { registry, nowMs } = parts
    const found = () => this.#last
    new Gauge({
      name: 'millrace_reconciliation_difference',
      help: 'Records of the last hour that are not where they should be, after five minutes',
      labelNames: ['topic', 'stage'],
      registers: [registry],
      collect() {
        for (const { topic, totals } of found()?.topics ?? []) {
          for (const stage of reconciliationStages) this.set({ topic, stage }, totals[stage])
        }
      },
    })
    const startedMs = nowMs()
    new Gauge({
      name: 'millrace_reconciliation_age_seconds',
      help: 'Since the last reconciliation that came to its end, or since the start when there was none',
      registers: [registry],
      collect() {
        this.set((nowMs() - (found()?.ranAtMs ?? startedMs)) / 1_000)
      },
    })
  }

  /** Runs every now and then from now on, if it shall. */
  begin(): void {
    const { everyMs } = this.#parts
    if (everyMs === 0 || this.#timer !== undefined) return
    this.#timer = setInterval(() => void this.#watch(), everyMs)
    this.#timer.unref()
  }

  /** The last run's result when it is fresh, else that of a new run; askers of the same time share it. Throws what a run throws. */
  async latest(): Promise<Reconciliation> {
    const last = this.#last
    if (last !== undefined && this.#parts.nowMs() - last.ranAtMs < reconciliationFreshMs) return last
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
    return await this.#running
  }

  /** Ends a run that is under way; idempotent. */
  close(): void {
    clearInterval(this.#timer)
    this.#stop.abort()
  }

  async #watch(): Promise<void> {
    try {
      const { topics, tookMs } = await this.latest()
      for (const { topic, differences } of topics) {
        const [first] = differences
        if (first === undefined) continue
        // The first of them; the route and the metric have them all.
        const place = { partition: first.partition, first_offset: first.firstOffset, count: first.records }
        const fields = { topic, reason: first.stage, ...place, duration_ms: tookMs }
        this.#parts.logger.warn(fields, 'records are not where they should be')
      }
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#parts.logger.warn({ err: error }, 'reconciliation failed: trying again later')
    }
  }

  async #run(): Promise<Reconciliation> {
    this.#reconciler ??= this.#parts.open()
    // A registry that was away is asked again.
    const reconciler = await this.#reconciler.catch((error: unknown) => {
      this.#reconciler = undefined
      throw error
    })
    const toMs = this.#parts.nowMs()
    const fromMs = toMs - reconciledMsDefault
    const range = { fromMs, toMs, boundMs: reconciliationBoundMsDefault, signal: this.#stop.signal }
    this.#last = await reconciler.run(range)
    return this.#last
  }
}
