import type { Timers } from './timers.ts'

/** Timers for tests: nothing passes until told. */
export interface ManualTimers extends Timers {
  /** The waits that are not over, longest asked first. */
  readonly waitsMs: readonly number[]
  /** Ends all waits, and lets what follows from that happen. */
  elapse(): Promise<void>
  /** Runs everything that repeats once. */
  tick(): Promise<void>
}

/** Timers that move by hand. */
export function createManualTimers(): ManualTimers {
  const waits = new Map<() => void, number>()
  const repeated = new Set<() => void>()
  return {
    wait(ms, signal) {
      if (signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const finish = () => {
          waits.delete(finish)
          resolve()
        }
        waits.set(finish, ms)
        signal.addEventListener('abort', finish)
      })
    },
    every(_ms, run) {
      repeated.add(run)
      return () => repeated.delete(run)
    },
    get waitsMs() {
      return [...waits.values()]
    },
    async elapse() {
      for (const finish of [...waits.keys()]) finish()
      await settle()
    },
    async tick() {
      for (const run of repeated) run()
      await settle()
    },
  }
}

/** Lets promises that are ready run, and those that follow from them. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve()
}
