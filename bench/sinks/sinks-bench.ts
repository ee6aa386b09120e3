import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { connectKafka } from '@millrace/streams/kafka'
import type { Bench, BenchContext } from '../bench.ts'
import { chosenNames } from '../command-line.ts'
import { type Figure, figureOf } from '../figures.ts'
import { type GatewayServers, gatewayServers } from '../gateway/servers.ts'
import { Machine } from '../machine.ts'
import { numberText, ratioText, textTable } from '../table.ts'
import { type CatchUp, catchUp } from './catch-up.ts'
import { fillEvents, fillLogs } from './inputs.ts'
import { type Measurement, measure } from './measure.ts'
import { type StoreName, type Way, ways } from './sides.ts'
import { eventStore, logStore, type MeasuredStore } from './stores.ts'

/** What is stored, and what it is to reach. */
interface Goal {
  readonly records: { readonly full: number; readonly quick: number }
  /** Rows that a record becomes. */
  readonly rowsOfRecord: number
  readonly cpuMicros: number | undefined
  readonly rowsPerSecond: number
}

const goals: Readonly<Record<StoreName, Goal>> = {
  events: { records: { full: 2_000_000, quick: 200_000 }, rowsOfRecord: 1, cpuMicros: 0.8, rowsPerSecond: 400_000 },
  'api-logs': {
    records: { full: 400_000, quick: 40_000 },
    rowsOfRecord: 2,
    cpuMicros: undefined,
    rowsPerSecond: 30_000,
  },
}

/** The sink after an outage, beside requests at the gateway. */
const catchUpName = 'catch-up'
const catchUpDurationMs = { full: 30_000, quick: 5_000 }
/** How far the gateway's slowest answers may rise meanwhile. */
const riseMax = 1.5

/** From Kafka into the databases: the sinks as they are deployed, beside what one writes first. */
export const sinksBench: Bench = async (context, show) => {
  const machine = new Machine()
  const chosen = chosenWays(context)
  const servers = await gatewayServers(context)
  try {
    const figures: Figure[] = []
    for (const name of ['events', 'api-logs'] as const) {
      const of = chosen.filter((way) => way.store === name)
      if (of.length > 0) figures.push(...figuresOf(name, await measureAll({ context, servers, name, ways: of })))
    }
    if (isChosen(context, catchUpName, true)) figures.push(...catchUpFigures(await measureCatchUp(context, servers)))
    show({ figures, text: `${sinkTable(figures)}\n${machine.conditions()}` })
  } finally {
    await servers.stop()
  }
}

type Found = ReadonlyMap<Way, readonly Measurement[]>

async function measureAll(options: {
  readonly context: BenchContext
  readonly servers: GatewayServers
  readonly name: StoreName
  readonly ways: readonly Way[]
}): Promise<Found> {
  const { context, servers, name, ways: chosen } = options
  const { command, environment, report, signal } = context
  const goal = goals[name]
  const records = command.quick ? goal.records.quick : goal.records.full
  report(`Filling ${name}: ${records.toLocaleString('en')} records …`)
  const broker = connectKafka({ brokers: [servers.brokerAddress], clientId: 'bench' })
  const registryUrl = servers.variables.MILLRACE_REGISTRY_URL ?? ''
  await (name === 'events' ? fillEvents : fillLogs)(broker, registryUrl, records)
  const store: MeasuredStore = name === 'events' ? eventStore(servers.variables) : await logStore(servers.variables)
  const found = new Map<Way, Measurement[]>(chosen.map((way) => [way, []]))
  try {
    for (let run = 0; run < command.runs; run++) {
      for (const way of run % 2 === 0 ? chosen : chosen.toReversed()) {
        const measured = await measure(way, {
          store,
          environment: { ...environment, ...servers.variables },
          records,
          profileFile: way.isOurs ? profileFile(command.profileFolder, way, run) : undefined,
          signal,
        })
        const rate = Math.round(measured.recordsPerSecond).toLocaleString('en')
        report(`${way.name}: ${measured.cpuMicros.toFixed(2)} µs a record, ${rate} records/s`)
        found.get(way)?.push(measured)
      }
    }
  } finally {
    await store.close()
  }
  return found
}

/** After the other ways, when they run as well: what they filled the topic with is there to be stored. */
async function measureCatchUp(context: BenchContext, servers: GatewayServers): Promise<CatchUp> {
  const { command, environment, report, signal } = context
  const [way] = ways
  if (way === undefined) throw new Error('there is no way to be measured')
  const size = command.quick ? 'quick' : 'full'
  const records = goals.events.records[size]
  report(`Filling events: ${records.toLocaleString('en')} records …`)
  const broker = connectKafka({ brokers: [servers.brokerAddress], clientId: 'bench' })
  await fillEvents(broker, servers.variables.MILLRACE_REGISTRY_URL ?? '', records)
  const store = eventStore(servers.variables)
  try {
    const durationMs = catchUpDurationMs[size]
    const found = await catchUp(way, { servers, environment, store, records, durationMs, signal })
    if (found.wasDone)
      report('The sink had stored everything before the requests ended: its part is less than it says.')
    return found
  } finally {
    await store.close()
  }
}

function catchUpFigures({ alone, meanwhile, recordsPerSecond }: CatchUp): readonly Figure[] {
  const bench = catchUpName
  const p99 = { unit: 'ms', better: 'less' } as const
  return [
    figureOf({ bench, figure: 'answer of the gateway alone, p99', ours: alone.p99, ...p99 }),
    figureOf({ bench, figure: 'answer meanwhile, p99', ours: meanwhile.p99, ...p99 }),
    figureOf({
      bench,
      figure: 'rise of p99',
      unit: '×',
      ours: meanwhile.p99 / alone.p99,
      better: 'less',
      target: riseMax,
    }),
    figureOf({ bench, figure: 'throughput meanwhile', unit: 'rows/s', ours: recordsPerSecond, better: 'more' }),
  ]
}

function profileFile(folder: string | undefined, way: Way, run: number): string | undefined {
  if (folder === undefined) return undefined
  mkdirSync(folder, { recursive: true })
  return join(resolve(folder), `sinks-${way.name}-${run}.cpuprofile`)
}

function chosenWays(context: BenchContext): readonly Way[] {
  return ways.filter(({ name, isOurs }) => isChosen(context, name, isOurs))
}

function isChosen({ command }: BenchContext, name: string, isOurs: boolean): boolean {
  const names = chosenNames([...ways.map((way) => way.name), catchUpName], command.only)
  return names.includes(name) && command.sides.includes(isOurs ? 'ours' : 'peer')
}

/** The best run of each way; ours also compared with each of the others. */
function figuresOf(name: StoreName, found: Found): readonly Figure[] {
  const { rowsOfRecord, cpuMicros: cpuTarget, rowsPerSecond: rateTarget } = goals[name]
  const all = [...found]
  const ours = all.find(([{ isOurs }]) => isOurs)?.[1] ?? []
  const cpuOf = (runs: readonly Measurement[]) =>
    runs.length === 0 ? null : Math.min(...runs.map(({ cpuMicros }) => cpuMicros)) / rowsOfRecord
  const rateOf = (runs: readonly Measurement[]) =>
    runs.length === 0 ? null : Math.max(...runs.map(({ recordsPerSecond }) => recordsPerSecond)) * rowsOfRecord
  const cpu = { figure: 'CPU of the sink', unit: 'µs/row', ours: cpuOf(ours), better: 'less' } as const
  const rate = { figure: 'throughput', unit: 'rows/s', ours: rateOf(ours), better: 'more' } as const
  return [
    figureOf({ bench: name, ...cpu, ...(cpuTarget === undefined ? {} : { target: cpuTarget }) }),
    figureOf({ bench: name, ...rate, target: rateTarget }),
    ...all.flatMap(([{ isOurs, title }, runs]) =>
      isOurs
        ? []
        : [
            figureOf({ bench: name, ...cpu, peer: { name: title, value: cpuOf(runs) } }),
            figureOf({ bench: name, ...rate, peer: { name: title, value: rateOf(runs) } }),
          ],
    ),
  ]
}

function sinkTable(figures: readonly Figure[]): string {
  const header = ['rows of', 'beside', 'figure', 'ours', 'peer', 'better by', 'target']
  const rows = figures.map((figure) => [
    figure.bench,
    figure.peer_name ?? '',
    `${figure.figure}, ${figure.unit}`,
    numberText(figure.ours),
    figure.peer_name === null ? '' : numberText(figure.peer),
    figure.peer_name === null ? '' : ratioText(figure.ratio),
    figure.target === null ? '' : `${numberText(figure.target)} ${figure.met === true ? 'met' : 'missed'}`,
  ])
  return textTable(header, rows)
}
