import { isAbsolute } from 'node:path'

/** What the ClickHouse process needs to know. */
export interface ClickhouseConfig {
  readonly port: number
  readonly dataFolder: string
  readonly user: string
  readonly password: string
  readonly database: string
}

/** Reads the configuration; throws one error that lists every problem. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): ClickhouseConfig {
  const problems: string[] = []
  const need = (name: string, valid: (value: string) => boolean, wanted: string): string => {
    const value = environment[name] ?? ''
    if (!valid(value)) problems.push(`${name} must be ${wanted}`)
    return value
  }
  const isName = (value: string) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(value)
  const config: ClickhouseConfig = Object.freeze({
    port: Number(
      need('MILLRACE_CLICKHOUSE_PORT', (value) => /^\d{1,5}$/.test(value) && Number(value) < 65_536, 'a port'),
    ),
    dataFolder: need('MILLRACE_CLICKHOUSE_DATA_DIR', isAbsolute, 'an absolute folder'),
    user: need('MILLRACE_CLICKHOUSE_USER', isName, 'a user name'),
    password: need('MILLRACE_CLICKHOUSE_PASSWORD', (value) => value.length >= 8, 'a password of at least 8 characters'),
    database: need('MILLRACE_CLICKHOUSE_DATABASE', isName, 'a database name'),
  })
  if (problems.length > 0)
    throw new Error(`The ClickHouse process cannot start:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  return config
}
