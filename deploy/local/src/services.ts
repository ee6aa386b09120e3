import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Component } from './component.ts'
import { concurrently } from './concurrently.ts'
import type { Ports } from './config.ts'
import type { Folders } from './folders.ts'
import { limits } from './limits.ts'
import { answersOk } from './probe.ts'
import { type ProcessSpec, runCommand } from './process.ts'
import { ranks } from './servers.ts'
import type { Stack } from './stack.ts'

/** What our services need beside the servers. */
export interface ServiceOptions {
  readonly folders: Folders
  readonly ports: Ports
  /** The variables of `serviceEnvironment`, on top of what any program needs. */
  readonly environment: Readonly<Record<string, string>>
}

/** Creates topics and tables, registers schemas, seeds the accounts: each step may be repeated at every start. */
export async function prepareServers(
  options: ServiceOptions,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const run = async (starting: AbortSignal, step: Step) => {
    const started = performance.now()
    const spec = nodeProcess(options, step.name, step.script, { args: step.args ?? [] })
    await runCommand(spec, options.folders, {
      deadlineMs: limits.commandDeadlineMs,
      signal: starting,
      code: 'COMMAND_FAILED',
    })
    const seconds = ((performance.now() - started) / 1_000).toFixed(1)
    report(`  ${step.name.padEnd(16)} done in ${seconds.padStart(6)} s   ${step.title}`)
  }
  await concurrently(signal, [
    (starting) => run(starting, steps.provision),
    async (starting) => {
      await run(starting, steps.migrateMysql)
      await run(starting, steps.seed)
    },
    (starting) => run(starting, steps.migrateClickhouse),
    async (starting) => {
      if (!isPageBuilt(options.folders)) await run(starting, steps.page)
    },
  ])
}

interface Step {
  readonly name: string
  readonly title: string
  readonly script: string
  readonly args?: readonly string[]
}

const steps = {
  provision: {
    name: 'provision',
    title: 'topics and schemas',
    script: 'services/cli/src/main.ts',
    args: ['provision'],
  },
  migrateMysql: { name: 'migrate-mysql', title: 'tables in MariaDB', script: 'storage/src/mysql/migrate-main.ts' },
  migrateClickhouse: {
    name: 'migrate-events',
    title: 'tables in ClickHouse',
    script: 'storage/src/clickhouse/migrate-main.ts',
  },
  seed: { name: 'seed', title: 'development accounts', script: 'services/gateway/src/seed.ts' },
  page: {
    name: 'page',
    title: 'built for the browser',
    script: 'node_modules/vite/bin/vite.js',
    args: ['build', 'services/console', '--logLevel', 'warn'],
  },
} as const satisfies Readonly<Record<string, Step>>

const page = 'services/console'

/** Whether the page's files are there and newer than everything they are made of. */
export function isPageBuilt({ root }: Pick<Folders, 'root'>): boolean {
  const built = join(root, page, 'dist', 'index.html')
  if (!existsSync(built)) return false
  const builtMs = statSync(built).mtimeMs
  const sources = ['index.html', 'package.json', 'vite.config.ts', 'src', 'public'].map((name) =>
    join(root, page, name),
  )
  return sources.filter(existsSync).every((source) => newestMs(source) <= builtMs)
}

function newestMs(path: string): number {
  const { mtimeMs } = statSync(path)
  if (!statSync(path).isDirectory()) return mtimeMs
  return readdirSync(path).reduce((newest, name) => Math.max(newest, newestMs(join(path, name))), mtimeMs)
}

/** Starts the processor and the sinks, then the gateway: the door opens last, and closes first. */
export async function startServices(stack: Stack, options: ServiceOptions, signal: AbortSignal): Promise<void> {
  const { ports, folders } = options
  const state = join(folders.state, 'processor')
  const workers = [
    worker(options, {
      name: 'processor',
      title: 'events to statistics',
      port: ports.processorHealth,
      variables: {
        MILLRACE_STATE_DIR: state,
        MILLRACE_STATE_MEMORY_MIB: String(limits.processorStateMib),
        MALLOC_ARENA_MAX: String(limits.processorMallocArenas),
      },
      heapMb: limits.processorHeapMb,
    }),
    worker(options, {
      name: 'sink-clickhouse',
      title: 'events and statistics to ClickHouse',
      port: ports.sinkClickhouseHealth,
      // One process of each: restarted, it has its partitions again at once.
      variables: { MILLRACE_SINK_CLICKHOUSE_INSTANCE_ID: 'local' },
    }),
    worker(options, {
      name: 'sink-mysql',
      title: 'leads and API logs to MariaDB',
      port: ports.sinkMysqlHealth,
      variables: { MILLRACE_SINK_MYSQL_INSTANCE_ID: 'local' },
      heapMb: limits.sinkMysqlHeapMb,
    }),
  ]
  await concurrently(
    signal,
    workers.map((component) => (starting) => stack.start(component, ranks.worker, starting)),
  )
  await stack.start(gateway(options), ranks.gateway, signal)
}

/** Bounds of V8's old and young generation. */
interface HeapMb {
  readonly old: number
  readonly young: number
}

function gateway(options: ServiceOptions): Component {
  const address = `http://127.0.0.1:${options.ports.gateway}`
  return {
    name: 'gateway',
    title: 'HTTP API and page',
    address,
    readyDeadlineMs: limits.readyDeadlineMs.service,
    prepare: async () => undefined,
    isReady: (signal) => answersOk(`${address}/readyz`, signal),
    spec: nodeProcess(options, 'gateway', 'services/gateway/src/main.ts', {
      variables: { MILLRACE_SPILL_DIR: join(options.folders.state, 'gateway') },
    }),
  }
}

function worker(
  options: ServiceOptions,
  {
    name,
    title,
    port,
    variables = {},
    heapMb = limits.serviceHeapMb,
  }: {
    name: string
    title: string
    port: number
    variables?: Readonly<Record<string, string>>
    heapMb?: HeapMb
  },
): Component {
  const address = `http://127.0.0.1:${port}`
  const health = { MILLRACE_HEALTH_HOST: '127.0.0.1', MILLRACE_HEALTH_PORT: String(port) }
  return {
    name,
    title,
    address,
    readyDeadlineMs: limits.readyDeadlineMs.service,
    prepare: async () => undefined,
    isReady: (signal) => answersOk(`${address}/readyz`, signal),
    spec: nodeProcess(options, name, `services/${name}/src/main.ts`, {
      variables: { ...health, ...variables },
      heapMb,
    }),
  }
}

function nodeProcess(
  options: ServiceOptions,
  name: string,
  script: string,
  {
    args = [],
    variables = {},
    heapMb = limits.serviceHeapMb,
  }: { args?: readonly string[]; variables?: Readonly<Record<string, string>>; heapMb?: HeapMb },
): ProcessSpec {
  return {
    name,
    kind: 'service',
    command: process.execPath,
    args: [
      `--max-old-space-size=${heapMb.old}`,
      `--max-semi-space-size=${heapMb.young}`,
      join(options.folders.root, script),
      ...args,
    ],
    env: { ...options.environment, NODE_COMPILE_CACHE: options.folders.compiled, ...variables },
    cwd: options.folders.root,
  }
}
