import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Broker } from '@millrace/streams'
import type { BenchContext } from '../bench.ts'
import { BenchError } from '../bench-error.ts'
import type { MeasuredProcess } from '../measured-process.ts'
import { partitionCount } from './input-topic.ts'
import { storeName } from './topologies.ts'

/** What every job works with. */
export interface Workbench {
  readonly context: BenchContext
  readonly broker: Broker
  /** As `host:port`, for the processes. */
  readonly brokerAddress: string
}

/** One application's names: new ones for each run, so that it begins with nothing. */
export interface Run {
  readonly applicationId: string
  readonly output: string
  readonly stateFolder: string
}

let runs = 0

/** Gives `work` an application of its own, with its output topic; whatever that leaves behind is removed. */
export async function withRun<T>(bench: Workbench, name: string, work: (run: Run) => Promise<T>): Promise<T> {
  const { broker, context } = bench
  const applicationId = `bench-${name}-${process.pid}-${++runs}`
  const run = { applicationId, output: `${applicationId}-results`, stateFolder: join(context.scratch, applicationId) }
  const admin = await broker.openAdmin()
  try {
    await admin.createTopics([
      { name: run.output, partitions: partitionCount, replicationFactor: 1, config: { 'retention.ms': '-1' } },
    ])
    mkdirSync(run.stateFolder, { recursive: true })
    return await work(run)
  } finally {
    rmSync(run.stateFolder, { recursive: true, force: true })
    const internal = ['changelog', 'repartition'].map((kind) => `${applicationId}-${storeName}-${kind}`)
    await admin.deleteTopics([run.output, ...internal])
    await admin.close()
  }
}

/** Stops the process when `work` has ended, however it ended, and early when the person has had enough. */
export async function withProcess<T>(
  process: MeasuredProcess,
  signal: AbortSignal,
  work: (process: MeasuredProcess) => Promise<T>,
): Promise<T> {
  const interrupted = new Promise<never>((_, reject) => {
    const stop = () => reject(new BenchError('stopped'))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work(process), interrupted])
  } finally {
    await process.stop()
  }
}
