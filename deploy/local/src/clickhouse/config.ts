import { isAbsolute } from 'node:path'
import type { Account } from './credentials.ts'
import type { ReadOnly } from './engine.ts'

/** What the ClickHouse process needs to know. */
export interface ClickhouseConfig {
  readonly port: number
  readonly dataFolder: string
  /** The one that may do everything, and one that may only read, when it has a password. */
  readonly accounts: readonly Account[]
  readonly database: string
}

const isName = (value: string) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(value)
const isPassword = (value: string) => value.length >= 8

/** Reads the configuration; throws one error that lists every problem. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): ClickhouseConfig {
  const problems: string[] = []
  const need = (name: string, valid: (value: string) => boolean, wanted: string): string => {
    const value = environment[name] ?? ''
    if (!valid(value)) problems.push(`${name} must be ${wanted}`)
    return value
  }
  const account = (prefix: string, readonly: ReadOnly): Account => ({
    user: need(`${prefix}_USER`, isName, 'a user name'),
    password: need(`${prefix}_PASSWORD`, isPassword, 'a password of at least 8 characters'),
    readonly,
  })
  const owner = account('MILLRACE_CLICKHOUSE', 0)
  const readers = environment.MILLRACE_CLICKHOUSE_READER_PASSWORD ? [account('MILLRACE_CLICKHOUSE_READER', 2)] : []
  const config: ClickhouseConfig = Object.freeze({
    port: Number(
      need('MILLRACE_CLICKHOUSE_PORT', (value) => /^\d{1,5}$/.test(value) && Number(value) < 65_536, 'a port'),
    ),
    dataFolder: need('MILLRACE_CLICKHOUSE_DATA_DIR', isAbsolute, 'an absolute folder'),
    accounts: [owner, ...readers],
    database: need('MILLRACE_CLICKHOUSE_DATABASE', isName, 'a database name'),
  })
  if (problems.length > 0)
    throw new Error(`The ClickHouse process cannot start:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  return config
}
