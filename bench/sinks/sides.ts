import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MeasuredProcess } from '../measured-process.ts'

/** Ways of getting the topic `events` into ClickHouse. */
export const ways = ['ours', 'json', 'single-rows'] as const
export type Way = (typeof ways)[number]

/** The ways as they stand in tables. */
export const wayNames: Readonly<Record<Way, string>> = {
  ours: 'sink-clickhouse',
  json: 'kafkajs, decoded, JSONEachRow',
  'single-rows': 'the same, an INSERT per row',
}

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
  const script = way === 'ours' ? 'services/sink-clickhouse/src/main.ts' : 'bench/peers/naive-sink/sink.ts'
  const child = new MeasuredProcess({
    title: wayNames[way],
    command: process.execPath,
    // The heap that `npm start` gives to a service; the other side holds all that it fetched as objects, and gets more.
    args: [
      `--max-old-space-size=${way === 'ours' ? 384 : 2_048}`,
      ...(way === 'ours' ? ['--max-semi-space-size=4'] : []),
      program,
      pathToFileURL(join(root, script)).href,
      ...(profileFile === undefined ? [] : [profileFile]),
    ],
    environment: {
      ...environment,
      MILLRACE_SINK_CLICKHOUSE_GROUP: group,
      MILLRACE_HEALTH_PORT: '0',
      MILLRACE_LOG_LEVEL: 'warn',
      NAIVE_TOPIC: 'events',
      NAIVE_GROUP: group,
      NAIVE_SINGLE_ROWS: String(way === 'single-rows'),
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
