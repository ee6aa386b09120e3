import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Component } from './component.ts'
import type { Folders } from './folders.ts'
import { limits } from './limits.ts'
import { answersOk } from './probe.ts'
import type { Secrets } from './secrets.ts'

const program = fileURLToPath(new URL('./clickhouse-server.ts', import.meta.url))

/** The database and account that the services use. */
export const clickhouseAccount = { user: 'millrace', database: 'millrace' } as const

/** What a ClickHouse of ours needs to know. */
export interface ClickhouseOptions {
  readonly folders: Folders
  readonly port: number
  readonly secrets: Secrets
  readonly environment: Readonly<Record<string, string>>
}

/** ClickHouse's engine in a process of ours that speaks its HTTP interface. */
export function clickhouseServer(options: ClickhouseOptions): Component {
  const { folders, port, secrets } = options
  return {
    name: 'clickhouse',
    title: 'ClickHouse (embedded)',
    address: `http://127.0.0.1:${port}`,
    readyDeadlineMs: limits.readyDeadlineMs.clickhouse,
    prepare: async () => undefined,
    isReady: (signal) => answersOk(`http://127.0.0.1:${port}/ping`, signal),
    spec: {
      name: 'clickhouse',
      kind: 'server',
      command: process.execPath,
      args: [`--max-semi-space-size=${limits.serviceHeapMb.young}`, program],
      env: {
        ...options.environment,
        // One thread for each running query (the engine's work blocks it), and some for files.
        UV_THREADPOOL_SIZE: '16',
        MILLRACE_CLICKHOUSE_PORT: String(port),
        MILLRACE_CLICKHOUSE_DATA_DIR: join(folders.data, 'clickhouse'),
        MILLRACE_CLICKHOUSE_USER: clickhouseAccount.user,
        MILLRACE_CLICKHOUSE_PASSWORD: secrets.clickhousePassword,
        MILLRACE_CLICKHOUSE_DATABASE: clickhouseAccount.database,
      },
    },
  }
}
