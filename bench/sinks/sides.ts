import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { deployedHeap } from '../deployed-heap.ts'
import { MeasuredProcess } from '../measured-process.ts'

/** What a way stores. */
export type StoreName = 'events' | 'api-logs'

/** One way of getting a topic into its store. */
export interface Way {
  /** As `--only` names it. */
  readonly name: string
  /** As it stands in tables. */
  readonly title: string
  readonly store: StoreName
  readonly isOurs: boolean
  readonly script: string
  readonly environment: Readonly<Record<string, string>>
}

const naive = 'bench/peers/naive-sink'

/** Every way, ours before its peers. */
export const ways: readonly Way[] = [
  {
    name: 'events',
    title: 'sink-clickhouse',
    store: 'events',
    isOurs: true,
    script: 'services/sink-clickhouse/src/main.ts',
    environment: {},
  },
  {
    name: 'events-json',
    title: 'kafkajs, decoded, JSONEachRow',
    store: 'events',
    isOurs: false,
    script: `${naive}/clickhouse-sink.ts`,
    environment: { NAIVE_SINGLE_ROWS: 'false' },
  },
  {
    name: 'events-rows',
    title: 'the same, an INSERT per row',
    store: 'events',
    isOurs: false,
    script: `${naive}/clickhouse-sink.ts`,
    environment: { NAIVE_SINGLE_ROWS: 'true' },
  },
  {
    name: 'logs',
    title: 'sink-mysql',
    store: 'api-logs',
    isOurs: true,
    script: 'services/sink-mysql/src/main.ts',
    environment: {},
  },
  {
    name: 'logs-rows',
    title: 'kafkajs, decoded, an INSERT per row',
    store: 'api-logs',
    isOurs: false,
    script: `${naive}/mysql-sink.ts`,
    environment: {},
  },
]

/** A sink that is measured. */
export interface MeasuredSink {
  /** CPU that its process has used since it began, microseconds, all threads included. */
  cpuMicros(): Promise<number>
  stop(): Promise<void>
}

const program = join(import.meta.dirname, '../gateway/measured-server.ts')
const root = join(import.meta.dirname, '../..')
const answerDeadlineMs = 60_000

/** Starts a sink that reads the whole topic under a consumer group. */
export function startSink(
  way: Way,
  options: {
    readonly group: string
    readonly environment: Readonly<Record<string, string | undefined>>
    readonly profileFile: string | undefined
  },
): MeasuredSink {
  const { group, environment, profileFile } = options
  const child = new MeasuredProcess({
    title: way.title,
    command: process.execPath,
    // The heap that `npm start` gives to a service; the other side holds all that it fetched as objects, and gets more.
    args: [
      ...(way.isOurs ? deployedHeap(way.script) : ['--max-old-space-size=2048']),
      program,
      pathToFileURL(join(root, way.script)).href,
      ...(profileFile === undefined ? [] : [profileFile]),
    ],
    environment: {
      ...environment,
      ...way.environment,
      MILLRACE_SINK_CLICKHOUSE_GROUP: group,
      MILLRACE_SINK_MYSQL_GROUP: group,
      MILLRACE_HEALTH_PORT: '0',
      MILLRACE_LOG_LEVEL: 'warn',
      NAIVE_TOPIC: way.store,
      NAIVE_GROUP: group,
    },
  })
  let asked = 0
  return {
    async cpuMicros() {
      child.signal('SIGUSR2')
      return (await child.event<{ cpuMicros: number }>(`cpu ${++asked}`, answerDeadlineMs)).cpuMicros
    },
    stop: () => child.stop(),
  }
}
