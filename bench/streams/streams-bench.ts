import { connectKafka } from '@millrace/streams/kafka'
import type { Bench, BenchContext, BenchResult } from '../bench.ts'
import { type BenchBroker, benchBroker } from '../broker.ts'
import { chosenNames } from '../command-line.ts'
import type { Figure } from '../figures.ts'
import { Machine } from '../machine.ts'
import { type Comparison, compare } from './compare.ts'
import { shapeNames } from './event-shape.ts'
import { inputTopicName } from './input-topic.ts'
import { type Job, jobs, sizes } from './jobs.ts'
import { jvmName, prepareJvm } from './jvm.ts'
import { latencyFigures, memoryFigures } from './own-jobs.ts'
import { comparisonFigures, resultTable } from './report.ts'
import type { Workbench } from './workbench.ts'

/** @millrace/streams beside the JVM's Kafka Streams: the same jobs on the same broker and input, one side after the other. */
export const streamsBench: Bench = async (context, show) => {
  const machine = new Machine()
  const chosen = chosenJobs(context.command.only)
  const missing = context.command.sides.includes('peer')
    ? await prepareJvm(context.environment, context.report)
    : 'it was not asked for'
  const withPeer = missing === undefined
  if (!withPeer) context.report(`${jvmName} is not measured: ${missing}.`)
  const broker = await benchBroker(context)
  try {
    const workbench = {
      context,
      broker: connectKafka({ brokers: [broker.address], clientId: 'bench' }),
      brokerAddress: broker.address,
    }
    const { figures, text } = await measure(workbench, chosen, withPeer)
    show({ figures, text: `${text}\n${machine.conditions()}` })
    if (context.command.keep) await keep(broker, context)
    else if (!broker.isOurs) await removeInputs(workbench)
  } finally {
    await broker.stop()
  }
}

function chosenJobs(only: readonly string[]): readonly Job[] {
  const names = chosenNames(
    jobs.map(({ name }) => name),
    only,
  )
  return jobs.filter(({ name }) => names.includes(name))
}

async function measure(workbench: Workbench, chosen: readonly Job[], withPeer: boolean): Promise<BenchResult> {
  const { quick, sides } = workbench.context.command
  const size = quick ? sizes.quick : sizes.full
  const figures: Figure[] = []
  const comparisons: Comparison[] = []
  for (const job of chosen) {
    if (job.kind === 'input' || job.kind === 'restore') {
      const comparison = await compare(workbench, job, { events: size.events, withPeer })
      comparisons.push(comparison)
      figures.push(...comparisonFigures(comparison))
    } else if (sides.includes('ours')) {
      const measureOwn = job.kind === 'latency' ? latencyFigures : memoryFigures
      figures.push(...(await measureOwn(workbench, job.name, size)))
    }
  }
  return { figures, text: resultTable(figures, comparisons) }
}

/** Whatever this size of run may have made on somebody's broker. */
async function removeInputs({ broker, context }: Workbench): Promise<void> {
  const { events, memoryKeys } = context.command.quick ? sizes.quick : sizes.full
  const admin = await broker.openAdmin()
  await admin.deleteTopics(
    shapeNames.flatMap((shape) => [events, memoryKeys].map((count) => inputTopicName(shape, count))),
  )
  await admin.close()
}

async function keep(broker: BenchBroker, { report, signal }: BenchContext): Promise<void> {
  if (!broker.isOurs || signal.aborted) return
  report(`\nKafka goes on for more runs with --broker ${broker.address}; Ctrl-C stops it.`)
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
