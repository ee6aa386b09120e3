import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, BenchContext } from '../bench.ts'
import { BenchError } from '../bench-error.ts'
import { chosenNames } from '../command-line.ts'
import { type Figure, figureOf } from '../figures.ts'
import { requestBytes, sendAll } from '../gateway/http-load.ts'
import { type GatewayServers, gatewayServers } from '../gateway/servers.ts'
import { type MeasuredServer, startGateway, startLeadSink } from '../gateway/sides.ts'
import { Machine } from '../machine.ts'
import { openLoad } from '../open-load.ts'
import { numberText, textTable } from '../table.ts'
import { LeadBodies } from './lead-bodies.ts'
import { type LeadCounts, type LeadTable, openLeadTable } from './lead-table.ts'

/** How much is sent. */
interface Amounts {
  readonly leads: number
  readonly asyncLeads: number
  readonly syncMs: number
}

const amounts: { readonly full: Amounts; readonly quick: Amounts } = {
  full: { leads: 1_000_000, asyncLeads: 200_000, syncMs: 20_000 },
  quick: { leads: 50_000, asyncLeads: 20_000, syncMs: 5_000 },
}

const jobs = {
  bulk: 'bulk requests of 500 leads (NDJSON), 4 connections, until MySQL has every lead with its history',
  sink: 'leads that are in Kafka already, from the start of the sink until MySQL has them',
  async: 'asynchronous leads, one per request, 64 connections, until the answer that Kafka has the lead; no sink runs',
  sync: '500 synchronous leads a second, until the answer that MySQL has the lead',
} as const
type JobName = keyof typeof jobs

const perRequest = 500
const connections = 4
const asyncConnections = 64
/** Sent before anything is measured: of the first leads the compiler takes as much as the gateway does. */
const warmUpLeads = 10_000
const syncPerSecond = 500
const submitter = { username: 'user', password: 'password123' }
const storedPollMs = 100
/** Nothing was stored for so long: something is wrong, and waiting will not help. */
const stallMs = 120_000

/** Leads on their whole way: over HTTP through Kafka into MySQL, each with its history and a look for duplicates. There is no peer. */
export const leadsBench: Bench = async (context, show) => {
  const machine = new Machine()
  const chosen = chosenJobs(context.command.only)
  const servers = await gatewayServers(context)
  try {
    const table = await openLeadTable(servers.variables)
    const figures: Figure[] = []
    try {
      for (const job of chosen) figures.push(...(await bestOfRuns(job, { context, servers, table })))
    } finally {
      await table.close()
    }
    show({ figures, text: `${tableOf(figures, chosen)}\n${machine.conditions()}` })
  } finally {
    await servers.stop()
  }
}

interface Workbench {
  readonly context: BenchContext
  readonly servers: GatewayServers
  readonly table: LeadTable
}

/** One measured value, and which way is better. */
interface Value {
  readonly figure: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly value: number
  readonly target?: number
}

async function bestOfRuns(job: JobName, bench: Workbench): Promise<Figure[]> {
  const best = new Map<string, Value>()
  for (let run = 0; run < bench.context.command.runs; run++) {
    const values = await runs[job](bench)
    const words = values.map(({ figure, unit, value }) => `${figure} ${numberText(value)} ${unit}`)
    bench.context.report(`${job}: ${words.join(', ')}`)
    for (const value of values) {
      const known = best.get(value.figure)
      const isBetter = known === undefined || (value.better === 'more') === value.value > known.value
      if (isBetter) best.set(value.figure, value)
    }
  }
  return [...best.values()].map(({ value, ...of }) => figureOf({ bench: job, ours: value, ...of }))
}

const runs: Readonly<Record<JobName, (bench: Workbench) => Promise<Value[]>>> = { bulk, sink, async: oneByOne, sync }

async function bulk(bench: Workbench): Promise<Value[]> {
  return await withServers(bench, ['gateway', 'sink'], async ({ gateway, sink }) => {
    const { leads } = amountsOf(bench)
    const atStart = await readTables(bench)
    await Promise.all([sendLeads(bench, gateway, warmUpLeads), untilStored(bench, atStart, warmUpLeads)])
    const before = await readTables(bench)
    const cpuBefore = [await gateway.cpuMicros(), await sink.cpuMicros()] as const
    const startedMs = performance.now()
    const [intake, storedMs] = await Promise.all([sendLeads(bench, gateway, leads), untilStored(bench, before, leads)])
    const gatewayMicros = (await gateway.cpuMicros()) - cpuBefore[0]
    const sinkMicros = (await sink.cpuMicros()) - cpuBefore[1]
    requireEqual(before, await readTables(bench), leads)
    return [
      {
        figure: 'stored',
        unit: 'leads/min',
        better: 'more',
        value: (leads / (storedMs - startedMs)) * 60_000,
        target: 1_000_000,
      },
      { figure: 'taken', unit: 'leads/s', better: 'more', value: leads / intake.seconds },
      { figure: 'answer, p99', unit: 'ms', better: 'less', value: intake.latencyMs.p99 },
      { figure: 'CPU of the gateway', unit: 'µs/lead', better: 'less', value: gatewayMicros / leads },
      { figure: 'CPU of the sink', unit: 'µs/lead', better: 'less', value: sinkMicros / leads },
    ]
  })
}

async function sink(bench: Workbench): Promise<Value[]> {
  const { leads } = amountsOf(bench)
  const before = await readTables(bench)
  await withServers(bench, ['gateway'], ({ gateway }) => sendLeads(bench, gateway, leads))
  return await withServers(bench, ['sink'], async ({ sink: server }) => {
    // It stores already when it says that it is ready: what counts is what it stores from here on.
    const cpuBefore = await server.cpuMicros()
    const { stored: atStart } = await readTables(bench)
    const startedMs = performance.now()
    const storedMs = await untilStored(bench, before, leads)
    const sinkMicros = (await server.cpuMicros()) - cpuBefore
    const counted = before.stored + leads - atStart
    requireEqual(before, await readTables(bench), leads)
    return [
      {
        figure: 'stored',
        unit: 'leads/s',
        better: 'more',
        value: (counted / (storedMs - startedMs)) * 1_000,
        target: 15_000,
      },
      { figure: 'CPU of the sink', unit: 'µs/lead', better: 'less', value: sinkMicros / counted },
    ]
  })
}

async function oneByOne(bench: Workbench): Promise<Value[]> {
  const before = await readTables(bench)
  const { asyncLeads } = amountsOf(bench)
  const values = await withServers(bench, ['gateway'], async ({ gateway }) => {
    await sendOneByOne(bench, gateway, warmUpLeads)
    const cpuBefore = await gateway.cpuMicros()
    const intake = await sendOneByOne(bench, gateway, asyncLeads)
    const gatewayMicros = (await gateway.cpuMicros()) - cpuBefore
    return [
      { figure: 'taken', unit: 'leads/s', better: 'more', value: asyncLeads / intake.seconds, target: 10_000 },
      { figure: 'answer, p99', unit: 'ms', better: 'less', value: intake.latencyMs.p99 },
      { figure: 'CPU of the gateway', unit: 'µs/lead', better: 'less', value: gatewayMicros / asyncLeads },
    ] satisfies Value[]
  })
  // Afterwards, so that the sink is not there to be measured with: what was accepted must be stored, each once.
  await withServers(bench, ['sink'], () => untilStored(bench, before, warmUpLeads + asyncLeads))
  requireEqual(before, await readTables(bench), warmUpLeads + asyncLeads)
  return values
}

async function sync(bench: Workbench): Promise<Value[]> {
  return await withServers(bench, ['gateway', 'sink'], async ({ gateway }) => {
    const { context } = bench
    const bodies = new LeadBodies(runName())
    const { port, headers } = gateway
    const load = {
      port,
      path: '/api/v1/lead/process',
      headers,
      status: 201,
      perSecond: syncPerSecond,
      signal: context.signal,
    }
    const body = () => bodies.one()
    await openLoad({ ...load, durationMs: 3_000, body })
    const before = await readTables(bench)
    const { sent, latencyMs } = await openLoad({ ...load, durationMs: amountsOf(bench).syncMs, body })
    requireEqual(before, await readTables(bench), sent)
    return [
      { figure: 'stored, p50', unit: 'ms', better: 'less', value: latencyMs.p50 },
      { figure: 'stored, p95', unit: 'ms', better: 'less', value: latencyMs.p95, target: 70 },
      { figure: 'stored, p99', unit: 'ms', better: 'less', value: latencyMs.p99, target: 150 },
    ]
  })
}

/** The services as they are deployed, each in a process of its own, until `work` is done. What is not asked for is not there to be used. */
async function withServers<T>(
  { context, servers }: Workbench,
  wanted: readonly ('gateway' | 'sink')[],
  work: (running: { readonly gateway: MeasuredServer; readonly sink: MeasuredServer }) => Promise<T>,
): Promise<T> {
  const { environment, command } = context
  const options = { servers, environment, profileFolder: command.profileFolder, job: 'leads', account: submitter }
  const started = new Map<string, MeasuredServer>()
  const need = (name: string) => {
    const server = started.get(name)
    if (server === undefined) throw new BenchError(`${name} was not started for this job`)
    return server
  }
  try {
    if (wanted.includes('sink')) started.set('sink', await startLeadSink(options))
    if (wanted.includes('gateway')) started.set('gateway', await startGateway(options))
    return await work({
      get gateway() {
        return need('gateway')
      },
      get sink() {
        return need('sink')
      },
    })
  } finally {
    for (const server of [...started.values()].reverse()) await server.stop()
  }
}

async function sendLeads({ context }: Workbench, gateway: MeasuredServer, leads: number) {
  const bodies = new LeadBodies(runName())
  const headers = { ...gateway.headers, 'content-type': 'application/x-ndjson' }
  return await sendAll({
    port: gateway.port,
    connections,
    status: 202,
    signal: context.signal,
    next() {
      if (bodies.made >= leads) return undefined
      const body = bodies.lines(Math.min(perRequest, leads - bodies.made))
      return requestBytes('POST /api/v1/leads/process-bulk', headers, body)
    },
  })
}

async function sendOneByOne({ context }: Workbench, gateway: MeasuredServer, leads: number) {
  const bodies = new LeadBodies(runName())
  const headers = { ...gateway.headers, 'content-type': 'application/json' }
  return await sendAll({
    port: gateway.port,
    connections: asyncConnections,
    status: 202,
    signal: context.signal,
    next() {
      if (bodies.made >= leads) return undefined
      return requestBytes('POST /api/v1/lead/process-async', headers, Buffer.from(bodies.one()))
    },
  })
}

interface Tables extends LeadCounts {
  /** Records of the topic that were stored. */
  readonly stored: number
}

async function readTables({ table }: Workbench): Promise<Tables> {
  return { stored: await table.stored(), ...(await table.count()) }
}

/** Waits until the sink has stored `leads` more than before; answers when, by `performance.now()`. */
async function untilStored({ context, table }: Workbench, before: Tables, leads: number): Promise<number> {
  let seen = -1
  let movedMs = performance.now()
  for (;;) {
    const now = await table.stored()
    const nowMs = performance.now()
    if (now >= before.stored + leads) return nowMs
    if (now > seen) movedMs = nowMs
    else if (nowMs - movedMs > stallMs)
      throw new BenchError(
        `${now - before.stored} of ${leads} leads are stored, and nothing came for ${stallMs / 1_000} s`,
      )
    seen = now
    await sleep(storedPollMs, undefined, { signal: context.signal })
  }
}

/** Every lead is there once, as nobody's duplicate, with the two steps of its history. */
function requireEqual(before: Tables, after: Tables, leads: number): void {
  const rows = after.leads - before.leads
  const duplicates = after.duplicates - before.duplicates
  const steps = after.steps - before.steps
  if (rows === leads && duplicates === 0 && steps === 2 * leads) return
  throw new BenchError(
    `${leads} leads were taken; MySQL has ${rows} of them, ${duplicates} as duplicates, and ${steps} steps of their history`,
  )
}

function amountsOf({ context }: Workbench): Amounts {
  const { quick, leads } = context.command
  const chosen = quick ? amounts.quick : amounts.full
  return leads === undefined ? chosen : { ...chosen, leads }
}

/** A part of addresses: that of a host, so that it differs from run to run. */
function runName(): string {
  return `r${Date.now().toString(36)}`
}

function chosenJobs(only: readonly string[]): readonly JobName[] {
  const all = Object.keys(jobs).filter((name): name is JobName => name in jobs)
  return chosenNames(all, only)
}

function tableOf(figures: readonly Figure[], chosen: readonly JobName[]): string {
  const rows = figures.map(({ bench, figure, unit, ours, target, met }) => [
    bench,
    `${figure}, ${unit}`,
    numberText(ours),
    target === null ? '' : `${numberText(target)} ${met === true ? 'met' : 'missed'}`,
  ])
  return [
    textTable(['job', 'figure', 'ours', 'target'], rows),
    '',
    ...chosen.map((job) => `${job}: ${jobs[job]}`),
  ].join('\n')
}
