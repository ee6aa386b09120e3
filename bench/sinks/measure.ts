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
/** A process that has nothing to store has come to rest when it uses less than this share of a core. */
const restShare = 0.03
const restPollMs = 5_000
const restPollsMax = 24
const startDeadlineMs = 120_000

/**
 * Lets a sink store the topic into an empty store. CPU is that of the whole process, less what the same process takes to start and find nothing; the
 * first records begin the time. Throws a `BenchError` when the store does not hold every record once.
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
  // What was not stored to its end would be stored on by another start: there the first rows are where the counting begins.
  const counted = run.stored - run.first.stored
  const recordsPerSecond = (counted / (run.endMs - run.first.atMs)) * 1_000
  if (run.stored < records) return { cpuMicros: (run.cpuMicros - run.first.cpuMicros) / counted, recordsPerSecond }
  await store.check(records)
  return { cpuMicros: (run.cpuMicros - (await idleCpu(way, group, options))) / records, recordsPerSecond }
}

/** What was seen at the first records, and at the end. */
interface Run {
  readonly first: { readonly atMs: number; readonly stored: number; readonly cpuMicros: number }
  readonly endMs: number
  readonly stored: number
  readonly cpuMicros: number
}

/** What the process takes to start, when everything is stored under its group. */
async function idleCpu(way: Way, group: string, { environment }: RunOptions): Promise<number> {
  const sink = startSink(way, { group, environment, profileFile: undefined })
  try {
    let before = 0
    for (let poll = 0; poll < restPollsMax; poll++) {
      await delay(restPollMs)
      const cpuMicros = await sink.cpuMicros()
      if (cpuMicros - before < restShare * restPollMs * 1_000) return before
      before = cpuMicros
    }
    throw new BenchError(`${way.title} does not come to rest when there is nothing to store.`)
  } finally {
    await sink.stop()
  }
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
