import type { AppProbes, RunState } from '@millrace/streams'
import type { Measurement } from './measurement.ts'
import type { OursSettings } from './ours-process.ts'

/**
 * Everything was processed, and for so long there was nothing to commit: the commit before that was the last. Shorter than the time after
 * which a task counts as idle, which would make another one.
 */
const quietMs = 3_000

/** Writes a line for whoever started us. */
export function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** A moment: the wall clock and the CPU used until then. */
interface Moment {
  readonly ms: number
  readonly cpuMicros: number
}

/** Watches the application of this process by its probes, and measures. */
export class Meter {
  readonly probes: AppProbes
  /** Resolves when what is measured has happened; never for `none`. */
  readonly finished: Promise<void>
  readonly #finish: () => void
  readonly #measure: OursSettings['measure']
  readonly #records: number
  #start: Moment | undefined
  #end: Moment = now()
  #isRunning = false
  #processed = 0
  #restored = 0
  #dropped = 0
  #quiet: NodeJS.Timeout | undefined

  constructor(measure: OursSettings['measure'], records: number) {
    this.#measure = measure
    this.#records = records
    const { promise, resolve } = Promise.withResolvers<void>()
    this.finished = promise
    this.#finish = resolve
    this.probes = {
      stateChanged: (to) => this.#stateChanged(to),
      // Tasks of the first part of the program, which reads the input.
      processed: (taskId, records) => {
        if (taskId.startsWith('0_')) this.#processed += records
      },
      committed: () => this.#committed(),
      restoring: ({ records }) => {
        this.#restored = records
      },
      dropped: ({ records }) => {
        this.#dropped += records
      },
      restarted: (code) => giveUp(`it began anew after ${code}`),
    }
  }

  measurement(): Measurement {
    const start = this.#start ?? this.#end
    return {
      event: 'done',
      records: this.#measure === 'restore' ? this.#restored : this.#processed,
      seconds: (this.#end.ms - start.ms) / 1_000,
      cpuMicros: this.#end.cpuMicros - start.cpuMicros,
      peakBytes: process.resourceUsage().maxRSS * 1_024,
      dropped: this.#dropped,
    }
  }

  #stateChanged(to: RunState): void {
    if (to === 'recovering' && this.#isRunning) giveUp('its partitions were taken away')
    if (to === 'recovering' && this.#measure === 'restore') this.#start ??= now()
    if (to !== 'running') return
    this.#isRunning = true
    tell({ event: 'running' })
    if (this.#measure !== 'restore') this.#start = now()
    else {
      this.#end = now()
      this.#finish()
    }
  }

  #committed(): void {
    if (this.#measure !== 'input') return
    this.#end = now()
    if (this.#processed < this.#records) return
    clearTimeout(this.#quiet)
    this.#quiet = setTimeout(this.#finish, quietMs)
  }
}

function now(): Moment {
  const { user, system } = process.cpuUsage()
  return { ms: performance.now(), cpuMicros: user + system }
}

/** What was measured until now is not of one undisturbed run. */
function giveUp(reason: string): never {
  process.stderr.write(`the measurement was given up: ${reason}\n`)
  process.exit(1)
}
