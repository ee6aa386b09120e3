import { rmSync, writeFileSync } from 'node:fs'
import type { Command } from './command-line.ts'
import type { LauncherConfig } from './config.ts'
import { playDemo } from './demo.ts'
import { exportLines, serviceEnvironment } from './environment.ts'
import type { LauncherError } from './errors.ts'
import { createFolders, type Folders } from './folders.ts'
import { clearLeftovers } from './leftovers.ts'
import { takeLock } from './lock.ts'
import { requireFreePorts } from './ports.ts'
import { loadSecrets } from './secrets.ts'
import { obtainPrograms, startServers, wantedPorts } from './servers.ts'
import { prepareServers, startServices } from './services.ts'
import { createStack } from './stack.ts'
import { developmentAccounts, gatewayUrl, welcomeText } from './welcome.ts'

/** What every command works with. `signal` is aborted when the launcher has to stop. */
export interface LauncherContext {
  readonly config: LauncherConfig
  readonly folders: Folders
  /** What servers and services see of our environment. */
  readonly environment: Readonly<Record<string, string>>
  /** All of our environment: for Maven, pip and the test tools, whose own variables (proxies, JAVA_HOME) we do not know. */
  readonly inherited: Readonly<Record<string, string | undefined>>
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

/** A stack that runs. */
export interface RunningStack {
  /** The variables that our services and tests read. */
  readonly variables: Readonly<Record<string, string>>
  readonly failed: Promise<LauncherError>
  /** Starts our services, where the stack was brought up without them. */
  readonly startServices: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** How far a stack is brought up: the bare servers, with topics, tables and accounts, or with our services. */
export type StackStage = 'servers' | 'prepared' | 'services'

/**
 * Brings a stack up to a stage: takes the data folder, fetches what is missing, starts the servers, prepares them,
 * starts the services. Whatever was started is stopped again when a step fails.
 */
export async function bringUp(
  context: LauncherContext,
  options: { fresh: boolean; until: StackStage },
): Promise<RunningStack> {
  const { config, folders, environment, inherited, report, signal } = context
  createFolders(folders)
  const lock = takeLock(folders.lockFile)
  const stack = createStack({ folders, report, signal })
  const stop = async () => {
    await stack.stop()
    rmSync(folders.envFile, { force: true })
    lock.release()
  }
  try {
    await clearLeftovers(folders, report)
    if (options.fresh) forget(folders)
    createFolders(folders)
    await requireFreePorts(wantedPorts(config, options.until === 'servers'))
    const secrets = loadSecrets(folders.secretsFile)
    const variables = serviceEnvironment({ ports: config.ports, secrets, folders, logLevel: config.logLevel })
    const programs = await obtainPrograms({ folders, mysqld: config.mysqld, environment: inherited, report, signal })
    report('Starting')
    await startServers(stack, { programs, config, folders, secrets, environment, signal })
    const services = { folders, ports: config.ports, environment: { ...environment, ...variables } }
    if (options.until !== 'servers') await prepareServers(services, report, signal)
    if (options.until === 'services') await startServices(stack, services, signal)
    writeFileSync(folders.envFile, `${JSON.stringify(variables, null, 2)}\n`, { mode: 0o600 })
    return { variables, failed: stack.failed, startServices: () => startServices(stack, services, signal), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The command `up`: a stack until the launcher is told to stop. */
export async function up(context: LauncherContext, command: Extract<Command, { name: 'up' }>): Promise<void> {
  const { fresh, serversOnly } = command
  const stack = await bringUp(context, { fresh, until: serversOnly ? 'servers' : 'services' })
  const play = new AbortController()
  let demo: Promise<void> | undefined
  try {
    context.report(
      serversOnly ? serversText(stack, context.folders) : welcomeText(context.config.ports, context.folders),
    )
    if (command.demo !== undefined) {
      demo = playDemo({
        url: gatewayUrl(context.config.ports),
        account: developmentAccounts.producer,
        options: command.demo,
        report: context.report,
        signal: AbortSignal.any([context.signal, play.signal]),
      }).catch((error: unknown) =>
        context.report(`The demonstration ended: ${error instanceof Error ? error.message : error}`),
      )
    }
    const failure = await Promise.race([stack.failed, aborted(context.signal)])
    if (failure !== undefined) throw failure
  } finally {
    play.abort()
    await demo
    context.report('Stopping')
    await stack.stop()
  }
}

function serversText(stack: RunningStack, folders: Folders): string {
  return `\n${exportLines(stack.variables)}\n\nThe same is in ${folders.envFile}. Stop with Ctrl-C.`
}

/** Resolves when the signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

/** Removes everything that an instance owns but its lock: data, state, logs, secrets. */
function forget(folders: Folders): void {
  for (const path of [folders.data, folders.state, folders.logs, folders.run, folders.secretsFile, folders.envFile]) {
    rmSync(path, { recursive: true, force: true })
  }
}
