import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createCodec, openRegistry } from '@millrace/schemas'
import { openClickHouse } from '@millrace/storage/clickhouse'
import { type Broker, type OutgoingRecord, partitionOfKey } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import type { Bench } from '../bench.ts'
import { chosenNames } from '../command-line.ts'
import { type Figure, figureOf } from '../figures.ts'
import { gatewayServers } from '../gateway/servers.ts'
import { Machine } from '../machine.ts'
import { EventDraw, fullEvent } from '../streams/event-shape.ts'
import { numberText, ratioText, textTable } from '../table.ts'
import { type Measurement, measure } from './measure.ts'
import { type Way, wayNames, ways } from './sides.ts'

const recordsOf = { full: 2_000_000, quick: 200_000 }
const partitions = 4
const sendRecords = 5_000
const targets = { cpuMicros: 0.8, rowsPerSecond: 400_000 }

/** Events from Kafka into ClickHouse: the sink as it is deployed, beside the same rows decoded and inserted as JSON, and one by one. */
export const sinksBench: Bench = async (context, show) => {
  const { command, environment, report, signal } = context
  const machine = new Machine()
  const chosen = chosenWays(command.only, command.sides)
  const servers = await gatewayServers(context)
  const variables = servers.variables
  const clickHouse = openClickHouse({
    url: variables.MILLRACE_CLICKHOUSE_URL ?? '',
    user: variables.MILLRACE_CLICKHOUSE_USER ?? '',
    password: variables.MILLRACE_CLICKHOUSE_PASSWORD ?? '',
    database: variables.MILLRACE_CLICKHOUSE_DATABASE ?? '',
  })
  try {
    const records = command.quick ? recordsOf.quick : recordsOf.full
    report(`Filling events: ${records.toLocaleString('en')} records …`)
    const broker = connectKafka({ brokers: [servers.brokerAddress], clientId: 'bench' })
    await fill(broker, variables.MILLRACE_REGISTRY_URL ?? '', records)
    const found = new Map<Way, Measurement[]>(chosen.map((way) => [way, []]))
    for (let run = 0; run < command.runs; run++) {
      for (const way of run % 2 === 0 ? chosen : chosen.toReversed()) {
        const measured = await measure(way, {
          clickHouse,
          environment: { ...environment, ...variables },
          records,
          profileFile: way === 'ours' ? profileFile(command.profileFolder, run) : undefined,
          signal,
        })
        report(
          `${way}: ${measured.cpuMicros.toFixed(2)} µs a row, ${Math.round(measured.rowsPerSecond).toLocaleString('en')} rows/s`,
        )
        found.get(way)?.push(measured)
      }
    }
    const figures = sinkFigures(found)
    show({ figures, text: `${sinkTable(figures)}\n${machine.conditions()}` })
  } finally {
    await clickHouse.close()
    await servers.stop()
  }
}

function profileFile(folder: string | undefined, run: number): string | undefined {
  if (folder === undefined) return undefined
  mkdirSync(folder, { recursive: true })
  return join(resolve(folder), `sinks-ours-${run}.cpuprofile`)
}

function chosenWays(only: readonly string[], sides: readonly string[]): readonly Way[] {
  return chosenNames(ways, only).filter((way) => sides.includes(way === 'ours' ? 'ours' : 'peer'))
}

/** Fills the empty topic `events`; what the gateway would have written there. */
async function fill(broker: Broker, registryUrl: string, count: number): Promise<void> {
  const { schemaId } = await openRegistry(registryUrl).codecFor('events', 'event')
  const codec = createCodec('event', schemaId)
  const producer = await broker.openProducer({ clientId: 'bench-input' })
  const draw = new EventDraw('random-users', count)
  const startMs = Date.now() - 3_600_000
  let index = 0
  let records: OutgoingRecord[] = []
  try {
    while (draw.next()) {
      const event = fullEvent(draw.event, startMs, index++)
      const key = Buffer.from(event.user_id)
      const partition = partitionOfKey(key, partitions)
      records.push({ topic: 'events', partition, key, value: codec.encode(event), timestamp: Date.now() })
      if (records.length < sendRecords) continue
      await producer.send(records)
      records = []
    }
    if (records.length > 0) await producer.send(records)
  } finally {
    await producer.close()
  }
}

/** The best run of each way; ours also compared with each of the others. */
function sinkFigures(found: ReadonlyMap<Way, readonly Measurement[]>): readonly Figure[] {
  const best = (way: Way, of: (measurement: Measurement) => number, better: 'more' | 'less') => {
    const values = (found.get(way) ?? []).map(of)
    return values.length === 0 ? null : better === 'more' ? Math.max(...values) : Math.min(...values)
  }
  const cpuOf = ({ cpuMicros }: Measurement) => cpuMicros
  const rateOf = ({ rowsPerSecond }: Measurement) => rowsPerSecond
  const cpu = { figure: 'CPU', unit: 'µs/row', ours: best('ours', cpuOf, 'less'), better: 'less' } as const
  const rate = { figure: 'throughput', unit: 'rows/s', ours: best('ours', rateOf, 'more'), better: 'more' } as const
  const peers = ways.filter((way) => way !== 'ours' && found.has(way))
  return [
    figureOf({ bench: 'ours', ...cpu, target: targets.cpuMicros }),
    figureOf({ bench: 'ours', ...rate, target: targets.rowsPerSecond }),
    ...peers.flatMap((way) => [
      figureOf({ bench: way, ...cpu, peer: { name: wayNames[way], value: best(way, cpuOf, 'less') } }),
      figureOf({ bench: way, ...rate, peer: { name: wayNames[way], value: best(way, rateOf, 'more') } }),
    ]),
  ]
}

function sinkTable(figures: readonly Figure[]): string {
  const header = ['beside', 'figure', 'ours', 'peer', 'better by', 'target']
  const rows = figures.map((figure) => [
    figure.peer_name ?? '',
    `${figure.figure}, ${figure.unit}`,
    numberText(figure.ours),
    figure.peer_name === null ? '' : numberText(figure.peer),
    figure.peer_name === null ? '' : ratioText(figure.ratio),
    figure.target === null ? '' : `${numberText(figure.target)} ${figure.met === true ? 'met' : 'missed'}`,
  ])
  return textTable(header, rows)
}
