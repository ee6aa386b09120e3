import { accessSync, constants } from 'node:fs'
import { join, resolve } from 'node:path'
import { LauncherError } from './errors.ts'

/** The ports of a stack, all on the loopback address. */
export interface Ports {
  readonly gateway: number
  readonly kafka: number
  readonly kafkaController: number
  readonly registry: number
  readonly registryManagement: number
  readonly mysql: number
  readonly clickhouse: number
  readonly processorHealth: number
  readonly sinkClickhouseHealth: number
  readonly sinkMysqlHealth: number
}

/** What the launcher takes from its environment. */
export interface LauncherConfig {
  readonly ports: Ports
  /** The data folder of this instance. */
  readonly instance: string
  /** Where downloads go. */
  readonly cache: string
  readonly logLevel: string
  /** The mysqld or mariadbd to run in place of the MariaDB that is fetched. */
  readonly mysqld: string | undefined
  /** The file descriptor that ends when `run.mjs` does, when that started us. */
  readonly pipeFd: number | undefined
  /** The processes above `run.mjs` whose end is ours, too. */
  readonly parents: readonly number[]
}

/** A port's variable, its default and what listens on it. A default that depends on another port is a number to add to it. */
interface PortSetting {
  readonly key: keyof Ports
  readonly variable: string
  readonly title: string
  readonly fallback: number | { readonly after: keyof Ports }
}

/** Every port with its variable: the source of the help text, the configuration and the messages about taken ports. */
export const portSettings: readonly PortSetting[] = [
  { key: 'gateway', variable: 'MILLRACE_HTTP_PORT', title: 'the gateway and its page', fallback: 8080 },
  { key: 'kafka', variable: 'MILLRACE_KAFKA_PORT', title: 'Kafka', fallback: 9092 },
  {
    key: 'kafkaController',
    variable: 'MILLRACE_KAFKA_CONTROLLER_PORT',
    title: "Kafka's controller",
    fallback: { after: 'kafka' },
  },
  { key: 'registry', variable: 'MILLRACE_REGISTRY_PORT', title: 'the schema registry', fallback: 8081 },
  {
    key: 'registryManagement',
    variable: 'MILLRACE_REGISTRY_MANAGEMENT_PORT',
    title: "the registry's management",
    fallback: { after: 'registry' },
  },
  { key: 'clickhouse', variable: 'MILLRACE_CLICKHOUSE_PORT', title: 'ClickHouse', fallback: 8123 },
  { key: 'mysql', variable: 'MILLRACE_MYSQL_PORT', title: 'MariaDB', fallback: 3306 },
  {
    key: 'processorHealth',
    variable: 'MILLRACE_PROCESSOR_HEALTH_PORT',
    title: "the processor's health",
    fallback: 8090,
  },
  {
    key: 'sinkClickhouseHealth',
    variable: 'MILLRACE_SINK_CLICKHOUSE_HEALTH_PORT',
    title: "the ClickHouse sink's health",
    fallback: 8091,
  },
  {
    key: 'sinkMysqlHealth',
    variable: 'MILLRACE_SINK_MYSQL_HEALTH_PORT',
    title: "the MySQL sink's health",
    fallback: 8092,
  },
]

/** Reads the launcher's variables. Throws BAD_OPTION with every problem at once. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>, root: string): LauncherConfig {
  const problems: string[] = []
  const ports = readPorts(environment, problems)
  const cache = join(root, '.millrace')
  const instance = resolve(root, environment.MILLRACE_DIR || cache)
  const logLevel = environment.MILLRACE_LOG_LEVEL || 'info'
  if (!logLevels.includes(logLevel))
    problems.push(`MILLRACE_LOG_LEVEL must be one of ${logLevels.join(', ')}, not "${logLevel}"`)
  const mysqld = environment.MILLRACE_MYSQLD ? resolve(root, environment.MILLRACE_MYSQLD) : undefined
  if (mysqld !== undefined && !isProgram(mysqld))
    problems.push(`MILLRACE_MYSQLD must be the path of a mysqld or mariadbd that may be executed, not "${mysqld}"`)
  if (problems.length > 0) throw new LauncherError('BAD_OPTION', problems.join('\n'))
  const pipeFd = Number(environment.MILLRACE_LAUNCHER_PIPE_FD)
  return Object.freeze({
    ports,
    instance,
    cache,
    logLevel,
    mysqld,
    pipeFd: Number.isInteger(pipeFd) && pipeFd > 2 ? pipeFd : undefined,
    parents: (environment.MILLRACE_LAUNCHER_PARENTS ?? '')
      .split(',')
      .map(Number)
      .filter((pid) => pid > 1),
  })
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace']

function readPorts(environment: Readonly<Record<string, string | undefined>>, problems: string[]): Ports {
  const ports = new Map<keyof Ports, number>()
  for (const { key, variable, fallback } of portSettings) {
    const text = environment[variable] ?? ''
    const port = text === '' ? fallbackPort(fallback, ports) : Number(text)
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      problems.push(`${variable} must be a port (1 to 65535), not "${text}"`)
    ports.set(key, port)
  }
  return portsFrom((key) => ports.get(key) ?? 0)
}

function fallbackPort(fallback: PortSetting['fallback'], ports: ReadonlyMap<keyof Ports, number>): number {
  return typeof fallback === 'number' ? fallback : (ports.get(fallback.after) ?? 0) + 1
}

/** Builds the ports by asking for each. */
export function portsFrom(portOf: (key: keyof Ports) => number): Ports {
  return {
    gateway: portOf('gateway'),
    kafka: portOf('kafka'),
    kafkaController: portOf('kafkaController'),
    registry: portOf('registry'),
    registryManagement: portOf('registryManagement'),
    mysql: portOf('mysql'),
    clickhouse: portOf('clickhouse'),
    processorHealth: portOf('processorHealth'),
    sinkClickhouseHealth: portOf('sinkClickhouseHealth'),
    sinkMysqlHealth: portOf('sinkMysqlHealth'),
  }
}
