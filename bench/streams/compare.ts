import { join } from 'node:path'
import { BenchError } from '../bench-error.ts'
import type { Side } from '../command-line.ts'
import type { MeasuredProcess } from '../measured-process.ts'
import { ensureInput, inputTopicName, partitionCount } from './input-topic.ts'
import type { ComparedJob } from './jobs.ts'
import { jvmHeapMb, startJvm } from './jvm.ts'
import { cpuMicrosOf, type Measurement, rateOf } from './measurement.ts'
import { startOurs } from './ours.ts'
import { differenceOf, expectedTotals, readTotals, type Totals } from './totals.ts'
import { type Run, type Workbench, withProcess, withRun } from './workbench.ts'

/** A process that does not finish within this has hung: twenty times what the slowest job takes on a slow machine. */
const deadlineMs = 15 * 60_000

/** One job as both sides did it; totals of every run were equal. */
export interface Comparison {
  readonly job: ComparedJob
  readonly ours: readonly Measurement[]
  readonly peer: readonly Measurement[]
}

/**
 * Runs a job on each side in turns, the first side changing from run to run, and holds every result against what the input comes to. Throws a
 * `BenchError` at the first difference.
 */
export async function compare(
  workbench: Workbench,
  job: ComparedJob,
  { events, withPeer }: { readonly events: number; readonly withPeer: boolean },
): Promise<Comparison> {
  const { command, report } = workbench.context
  await ensureInput(workbench.broker, { shape: job.shape, count: events, report })
  const expected = expectedTotals(job.shape, events, job.by)
  const chosen = command.sides.filter((side) => side === 'ours' || withPeer)
  const found: Record<Side, Measurement[]> = { ours: [], peer: [] }
  for (let run = 0; run < command.runs; run++) {
    const order = run % 2 === 0 ? chosen : chosen.toReversed()
    for (const side of order) {
      const measurement = await runOnce(workbench, { job, side, events, expected })
      found[side].push(measurement)
      report(`${job.name}, run ${run + 1} of ${command.runs}, ${side}: ${summary(measurement)}`)
    }
  }
  return { job, ...found }
}

interface OneRun {
  readonly job: ComparedJob
  readonly side: Side
  readonly events: number
  readonly expected: Totals
}

async function runOnce(workbench: Workbench, of: OneRun): Promise<Measurement> {
  const { job, side, events, expected } = of
  return withRun(workbench, `${job.name}-${side}`, async (run) => {
    const measured = await runProcess(workbench, run, { ...of, measure: 'input' })
    const found = await readTotals(workbench.broker, run.output, partitionCount)
    requireRight(of, measured, differenceOf(found, expected))
    if (job.kind === 'input') return measured
    // What was written is the changelog to restore from: one record per row, as each event made a new one.
    const restored = await runProcess(workbench, run, { ...of, measure: 'restore' })
    const fault = restored.records === events ? undefined : `${restored.records} records restored in place of ${events}`
    requireRight(of, restored, fault)
    return restored
  })
}

async function runProcess(
  workbench: Workbench,
  run: Run,
  of: OneRun & { readonly measure: 'input' | 'restore' },
): Promise<Measurement> {
  const started = of.side === 'ours' ? ours(workbench, run, of) : jvm(workbench, run, of)
  return withProcess(started, workbench.context.signal, async (process) => {
    const measurement = await process.event<Measurement>('done', deadlineMs)
    await process.ended() // results are committed at the latest when it has closed
    return measurement
  })
}

function ours(
  { context, brokerAddress: broker }: Workbench,
  run: Run,
  { job, events, measure }: OneRun & { readonly measure: 'input' | 'restore' },
): MeasuredProcess {
  const { environment, command } = context
  const input = inputTopicName(job.shape, events)
  return startOurs({
    settings: { ...run, program: job.program, measure, broker, input, records: events },
    heapMb: jvmHeapMb,
    environment,
    profileFolder: command.profileFolder,
  })
}

function jvm(
  { context, brokerAddress: broker }: Workbench,
  run: Run,
  { job, events, measure }: OneRun & { readonly measure: 'input' | 'restore' },
): MeasuredProcess {
  const input = inputTopicName(job.shape, events)
  const stateFolder = join(run.stateFolder, measure) // another folder for the restore: an empty one
  return startJvm({ ...run, stateFolder, broker, input, by: job.by, measure }, context.environment)
}

function requireRight({ job, side }: OneRun, { dropped }: Measurement, difference: string | undefined): void {
  const faults = [difference, dropped > 0 ? `${dropped} records dropped` : undefined].filter(
    (fault) => fault !== undefined,
  )
  if (faults.length > 0)
    throw new BenchError(`${job.name}, ${side}: WRONG RESULT, and so no figures: ${faults.join('; ')}`)
}

function summary(measurement: Measurement): string {
  const rate = Math.round(rateOf(measurement)).toLocaleString('en')
  return `${rate} records/s, ${cpuMicrosOf(measurement).toFixed(2)} µs CPU/record, results equal`
}
