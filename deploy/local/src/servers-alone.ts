import { fileURLToPath } from 'node:url'
import { portSettings, portsFrom, readConfig } from './config.ts'
import { layFolders } from './folders.ts'
import { freePorts } from './ports.ts'
import { baseEnvironment } from './process.ts'
import { bringUp } from './up.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')

/** Where the servers go, and what they may say. */
export interface ServersAloneOptions {
  /** For their data and logs; of these servers alone, and emptied when something is in it. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly report: (line: string) => void
  /** Aborted when starting is to end early. */
  readonly signal: AbortSignal
}

/** Servers that run, with topics, tables and accounts. */
export interface ServersAlone {
  /** What our services read from their environment. */
  readonly variables: Readonly<Record<string, string>>
  /** Resolves with the reason when one could not be kept running; never rejects. */
  readonly failed: Promise<Error>
  /** Starts our services on them. */
  readonly startServices: () => Promise<void>
  /** Idempotent; resolves when the processes are gone. The data stay. */
  readonly stop: () => Promise<void>
}

/**
 * All servers on free ports and at first none of our services, for measurements and tests. They share the downloads with `npm start`, and end with the process that
 * started them. Throws a `LauncherError` with the cause when something is missing, or does not start.
 */
export async function startServersAlone(options: ServersAloneOptions): Promise<ServersAlone> {
  const { folder, environment, report, signal } = options
  const free = await freePorts(portSettings.length)
  const ports = portsFrom((key) => free[portSettings.findIndex((setting) => setting.key === key)] ?? 0)
  const config = { ...readConfig({}, root), ports, instance: folder, logLevel: 'warn' }
  const folders = layFolders({ root, cache: config.cache, instance: folder })
  const context = { config, folders, environment: baseEnvironment(environment), inherited: environment, report, signal }
  const { variables, failed, startServices, stop } = await bringUp(context, { fresh: true, until: 'prepared' })
  return { variables, failed, startServices, stop }
}
