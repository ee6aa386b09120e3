import type { Broker } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import type { Bench, BenchContext } from '../bench.ts'
import { chosenNames, type Side } from '../command-line.ts'
import { Machine } from '../machine.ts'
import { type Job, jobs } from './jobs.ts'
import { type Durations, type Measurement, measure } from './measure.ts'
import { type Comparison, gatewayFigures, gatewayTable } from './report.ts'
import { type GatewayServers, gatewayServers } from './servers.ts'
import { naiveTopic, startServer } from './sides.ts'
import { fillStats } from './stats-input.ts'

const durations: { readonly full: Durations; readonly quick: Durations } = {
  full: { warmUpMs: 5_000, measuredMs: 10_000 },
  quick: { warmUpMs: 2_000, measuredMs: 3_000 },
}

/** Partitions of the naive server's topic: as many as the catalogue gives to events. */
const partitionCount = 4

/** The gateway as it is deployed, beside what one writes first, over HTTP on loopback: the same events to the same broker, one side after the other. */
export const gatewayBench: Bench = async (context, show) => {
  const machine = new Machine()
  const chosen = chosenJobs(context.command.only)
  const servers = await gatewayServers(context)
  try {
    const broker = connectKafka({ brokers: [servers.brokerAddress], clientId: 'bench' })
    await fillStats(broker, servers.variables.MILLRACE_REGISTRY_URL ?? '')
    const comparisons: Comparison[] = []
    for (const job of chosen) comparisons.push(await compare(job, { context, servers, broker }))
    const figures = gatewayFigures(comparisons)
    show({ figures, text: `${gatewayTable(figures)}\n${machine.conditions()}` })
  } finally {
    await servers.stop()
  }
}

function chosenJobs(only: readonly string[]): readonly Job[] {
  const names = chosenNames(
    jobs.map(({ name }) => name),
    only,
  )
  return jobs.filter(({ name }) => names.includes(name))
}

interface Workbench {
  readonly context: BenchContext
  readonly servers: GatewayServers
  readonly broker: Broker
}

/** The sides take turns, and the one that begins changes. */
async function compare(job: Job, bench: Workbench): Promise<Comparison> {
  const { command, report } = bench.context
  const measured: Record<Side, Measurement[]> = { ours: [], peer: [] }
  const sides = command.sides.filter((side) => side === 'ours' || job.peerPath !== undefined)
  for (let run = 0; run < command.runs; run++) {
    for (const side of run % 2 === 0 ? sides : sides.toReversed()) {
      const found = await runSide(side, job, bench)
      report(
        `${job.name}, ${side}: ${Math.round(found.perSecond).toLocaleString('en')}/s, ${found.cpuMicros.toFixed(2)} µs each`,
      )
      measured[side].push(found)
    }
  }
  return { job, ours: measured.ours, peer: measured.peer }
}

async function runSide(side: Side, job: Job, { context, servers, broker }: Workbench): Promise<Measurement> {
  const { command, environment, signal } = context
  const path = side === 'ours' ? job.path : (job.peerPath ?? job.path)
  if (side === 'peer') await makeTopic(broker)
  const server = await startServer(side, { servers, environment, profileFolder: command.profileFolder, job: job.name })
  try {
    return await measure(job, server, {
      broker,
      path,
      durations: command.quick ? durations.quick : durations.full,
      signal,
    })
  } finally {
    await server.stop()
    if (side === 'peer') await removeTopic(broker)
  }
}

async function makeTopic(broker: Broker): Promise<void> {
  const admin = await broker.openAdmin()
  await admin.createTopics([{ name: naiveTopic, partitions: partitionCount, replicationFactor: 1, config: {} }])
  await admin.close()
}

async function removeTopic(broker: Broker): Promise<void> {
  const admin = await broker.openAdmin()
  await admin.deleteTopics([naiveTopic])
  await admin.close()
}
