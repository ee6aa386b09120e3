import { setTimeout as delay } from 'node:timers/promises'
import { BenchError } from '../bench-error.ts'
import { startSink, type Way } from './sides.ts'
import type { MeasuredStore } from './stores.ts'

/** What one run has shown. */
export interface Measurement {
  /** Of the sink's process, per record. */
  readonly cpuMicros: number
  readonly recordsPerSecond: number
}

/** What a run works with. */
export interface RunOptions {
  readonly store: MeasuredStore
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Records of the topic. */
  readonly records: number
  /** Where the sink leaves a CPU profile, from the first rows to the end. */
  readonly profileFile: string | undefined
  readonly signal: AbortSignal
}

/** Counting takes a store some milliseconds, and more as it fills. */
const pollMs = 200
/** A way that is so slow is measured for this long instead of to the end. */
const measuredMsMax = 60_000
const startDeadlineMs = 120_000

/**
 * Lets a sink store the topic into an empty store. Time and CPU, that of the whole process, count from the first records that are stored: what it takes to start is
 * before them, and the fetches that are under way by then. Throws a `BenchError` when the store does not hold every record once.
 */
export async function measure(way: Way, options: RunOptions): Promise<Measurement> {
  const { store, records, environment, profileFile } = options
  const group = `bench-${way.name}-${Date.now()}`
  await store.empty()
  const sink = startSink(way, { group, environment, profileFile })
  let run: Run
  try {
    run = await untilStored(options, () => sink.cpuMicros())
  } finally {
    await sink.stop()
  }
  // A way that is too slow to be measured to the end has not stored everything.
  if (run.stored >= records) await store.check(records)
  const counted = run.stored - run.first.stored
  return {
    cpuMicros: (run.cpuMicros - run.first.cpuMicros) / counted,
    recordsPerSecond: (counted / (run.endMs - run.first.atMs)) * 1_000,
  }
}

/** What was seen at the first records, and at the end. */
interface Run {
  readonly first: { readonly atMs: number; readonly stored: number; readonly cpuMicros: number }
  readonly endMs: number
  readonly stored: number
  readonly cpuMicros: number
}

async function untilStored({ store, records, signal }: RunOptions, cpuMicros: () => Promise<number>): Promise<Run> {
  const startedMs = performance.now()
  let first: Run['first'] | undefined
  for (;;) {
    signal.throwIfAborted()
    const stored = await store.stored()
    const endMs = performance.now()
    if (first === undefined && stored > 0) {
      first = { atMs: endMs, stored, cpuMicros: await cpuMicros() }
    } else if (first !== undefined && (stored >= records || endMs - first.atMs > measuredMsMax)) {
      return { first, endMs, stored, cpuMicros: await cpuMicros() }
    }
    if (stored === 0 && endMs - startedMs > startDeadlineMs)
      throw new BenchError(`The sink stored nothing in ${startDeadlineMs / 1_000} s.`)
    await delay(pollMs)
  }
}
