import { BenchError } from '../bench-error.ts'
import type { Figure } from '../figures.ts'
import { figureOf } from '../figures.ts'
import { ensureInput, partitionCount } from './input-topic.ts'
import type { Sizes } from './jobs.ts'
import { jvmHeapMb } from './jvm.ts'
import { measureLatency } from './latency.ts'
import type { Measurement } from './measurement.ts'
import { startOurs } from './ours.ts'
import { differenceOf, expectedTotals, readTotals } from './totals.ts'
import { type Workbench, withProcess, withRun } from './workbench.ts'

const mebibyte = 1024 * 1024

/** What most events have to keep. */
const latencyTargetMs = 250

/** The process is ready soon after its topics are: a minute is for a slow machine. */
const startDeadlineMs = 60_000

const memoryDeadlineMs = 30 * 60_000

/** What the memory job's process may take in all: heap, rows, RocksDB, buffers. */
export const memoryBudget = {
  totalBytes: 1_024 * mebibyte,
  /** As the product's processor has it. */
  heapMb: 640,
  stateBytes: 128 * mebibyte,
} as const

/** How long an event takes to its result under steady input. */
export async function latencyFigures(workbench: Workbench, bench: string, size: Sizes): Promise<readonly Figure[]> {
  const { context, broker, brokerAddress } = workbench
  const { environment, command, signal, report } = context
  return withRun(workbench, bench, async (run) => {
    const input = `${run.applicationId}-input`
    const admin = await broker.openAdmin()
    await admin.createTopics([{ name: input, partitions: partitionCount, replicationFactor: 1, config: {} }])
    try {
      const process = startOurs({
        settings: { ...run, program: 'arrivals', measure: 'none', broker: brokerAddress, input, records: 0 },
        heapMb: jvmHeapMb,
        environment,
        profileFolder: command.profileFolder,
      })
      const found = await withProcess(process, signal, async () => {
        await process.event('running', startDeadlineMs)
        report(`${bench}: sending for ${size.latencySeconds} s after the warm-up …`)
        return measureLatency({ broker, topics: { input, output: run.output }, seconds: size.latencySeconds, signal })
      })
      const names = ['p50', 'p95', 'p99', 'max'] as const
      return names.map((name) => {
        const target = name === 'p99' ? { target: latencyTargetMs } : {}
        return figureOf({ bench, figure: name, unit: 'ms', ours: found[name], better: 'less', ...target })
      })
    } finally {
      await admin.deleteTopics([input])
      await admin.close()
    }
  })
}

/** What many keys in one window take. */
export async function memoryFigures(workbench: Workbench, bench: string, size: Sizes): Promise<readonly Figure[]> {
  const { context, broker, brokerAddress } = workbench
  const { environment, command, signal, report } = context
  const of = { shape: 'one-window', count: size.memoryKeys } as const
  const input = await ensureInput(broker, { ...of, report })
  const expected = expectedTotals(of.shape, of.count, 'user')
  return withRun(workbench, bench, async (run) => {
    const { heapMb, stateBytes: stateBytesMax, totalBytes } = memoryBudget
    const settings = { program: 'by-user', measure: 'input', broker: brokerAddress, input, records: of.count } as const
    const { profileFolder } = command
    const process = startOurs({ settings: { ...run, ...settings, stateBytesMax }, heapMb, environment, profileFolder })
    const measured = await withProcess(process, signal, async () => {
      const measurement = await process.event<Measurement>('done', memoryDeadlineMs)
      await process.ended()
      return measurement
    })
    const difference = differenceOf(await readTotals(broker, run.output, partitionCount), expected)
    if (difference !== undefined) throw new BenchError(`${bench}: WRONG RESULT, and so no figures: ${difference}`)
    const peak = measured.peakBytes === null ? null : measured.peakBytes / mebibyte
    const rate = measured.records / measured.seconds
    return [
      figureOf({
        bench,
        figure: 'peak memory',
        unit: 'MiB',
        ours: peak,
        better: 'less',
        target: totalBytes / mebibyte,
      }),
      figureOf({ bench, figure: 'throughput', unit: 'records/s', ours: rate, better: 'more' }),
    ]
  })
}
