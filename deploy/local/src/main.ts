import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseCommand, usage } from './command-line.ts'
import { type LauncherConfig, readConfig } from './config.ts'
import { doctor } from './doctor.ts'
import { LauncherError } from './errors.ts'
import { layFolders } from './folders.ts'
import { isAlive } from './leftovers.ts'
import { limits } from './limits.ts'
import { runLoad } from './load.ts'
import { baseEnvironment } from './process.ts'
import { runTests } from './test-run.ts'
import { type LauncherContext, up } from './up.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')
const report = (line: string) => process.stdout.write(`${line}\n`)
const stop = new AbortController()

// Whoever read our output (`npm start | head`) may go away; that is no reason to stop.
process.stdout.on('error', () => undefined)

try {
  process.exitCode = await main()
} catch (error) {
  // Told to stop while it started: that is no failure.
  const interrupted = stop.signal.aborted && error instanceof LauncherError && error.code === 'INTERRUPTED'
  if (!interrupted) {
    process.stderr.write(
      `\n${error instanceof LauncherError ? error.message : error instanceof Error ? error.stack : error}\n`,
    )
    process.exitCode = 1
  }
}
// Nothing of ours is left to wait for, whatever a library may still hold open.
process.exit()

async function main(): Promise<number> {
  const command = parseCommand(process.argv.slice(2))
  if (command.name === 'help') {
    process.stdout.write(usage())
    return 0
  }
  const config = readConfig(process.env, root)
  stopWithParents(config)
  const context: LauncherContext = {
    config,
    folders: layFolders({ root, cache: config.cache, instance: config.instance }),
    environment: baseEnvironment(process.env),
    inherited: process.env,
    report,
    signal: stop.signal,
  }
  if (command.name === 'doctor') return await doctor(context)
  if (command.name === 'test') return await runTests(context, command.filters)
  if (command.name === 'load') return await runLoad(context, command.options)
  await up(context, command)
  return 0
}

/** Aborts at a signal, at the end of `run.mjs`, and at the end of the npm that started it. */
function stopWithParents(config: LauncherConfig): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  if (config.pipeFd !== undefined) {
    const pipe = new Socket({ fd: config.pipeFd })
    pipe.on('error', () => stop.abort())
    pipe.on('close', () => stop.abort())
    pipe.resume().unref()
  }
  if (config.parents.length === 0) return
  const watch = setInterval(() => {
    if (!config.parents.every(isAlive)) stop.abort()
  }, limits.parentPollMs)
  watch.unref()
}
