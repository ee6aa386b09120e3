import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LoadOptions } from './command-line.ts'
import { portSettings, portsFrom } from './config.ts'
import { LauncherError } from './errors.ts'
import { layFolders } from './folders.ts'
import { obtainK6 } from './k6.ts'
import { limits } from './limits.ts'
import { freePorts } from './ports.ts'
import { guardScript } from './process.ts'
import { bringUp, type LauncherContext } from './up.ts'
import { gatewayUrl } from './welcome.ts'

/**
 * The command `load`: runs a profile of k6/ against the gateway that `--url` names, else against the stack that runs from this data folder, else against
 * one of its own, on free ports and with empty data, which it stops afterwards. Answers k6's exit code: 99 when a threshold did not hold.
 */
export async function runLoad(context: LauncherContext, options: LoadOptions): Promise<number> {
  const { folders, inherited, report, signal } = context
  const script = join(folders.root, 'k6', `${options.profile}.ts`)
  const known = loadProfiles(folders.root)
  if (!known.includes(options.profile)) {
    throw new LauncherError('BAD_OPTION', `There is no profile "${options.profile}". There are: ${known.join(', ')}`)
  }
  const k6 = await obtainK6({ folders, environment: inherited, report, signal })
  const target = options.url ?? (await runningGateway(folders.envFile))
  if (target !== undefined) return await measure(context, { k6, script, url: target, options })

  const stack = await ownStack(context)
  try {
    return await measure(context, { k6, script, url: stack.url, options })
  } finally {
    report('Stopping')
    await stack.stop()
  }
}

/** The profiles: every script of k6/ by its name. */
export function loadProfiles(root: string): readonly string[] {
  return readdirSync(join(root, 'k6'))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort()
}

/** The gateway of the stack that runs from this folder, when it answers: the file may be that of a launcher that was killed. */
async function runningGateway(envFile: string): Promise<string | undefined> {
  if (!existsSync(envFile)) return undefined
  const url: unknown = JSON.parse(readFileSync(envFile, 'utf8')).MILLRACE_GATEWAY_URL
  if (typeof url !== 'string') return undefined
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(limits.probeTimeoutMs) })
    await answer.body?.cancel()
    return answer.ok ? url : undefined
  } catch {
    return undefined
  }
}

async function ownStack(context: LauncherContext): Promise<{ url: string; stop: () => Promise<void> }> {
  const { root } = context.folders
  const { cache, instance } = context.config
  const folders = layFolders({ root, cache, instance: join(instance, 'load') })
  const free = await freePorts(portSettings.length)
  const ports = portsFrom((key) => free[portSettings.findIndex((setting) => setting.key === key)] ?? 0)
  context.report(`Nothing runs from ${instance}: starting a stack of its own, in ${folders.instance}`)
  const config = { ...context.config, ports, instance: folders.instance, logLevel: 'warn' }
  const stack = await bringUp({ ...context, folders, config }, { fresh: true, until: 'services' })
  return { url: gatewayUrl(ports), stop: stack.stop }
}

interface Measurement {
  readonly k6: string
  readonly script: string
  readonly url: string
  readonly options: LoadOptions
}

async function measure(context: LauncherContext, { k6, script, url, options }: Measurement): Promise<number> {
  const { report, folders, inherited, signal } = context
  const [first, ...others] = cpus()
  report(
    `\nLoading ${url} from this machine: ${others.length + 1} × ${first?.model ?? 'CPU'}, ${gibibytes(totalmem())}`,
  )
  const loadBefore = loadNow()
  const quiet = process.stderr.isTTY ? [] : ['--quiet']
  // Without an address: k6's own API, which two runs on one machine would both want, is not needed.
  const args = ['run', '--no-usage-report', '--address', '', ...quiet, script]
  const pidFile = join(folders.servers, `k6-${process.pid}.pid`)
  const child = spawn('/bin/sh', [guardScript, pidFile, '0', '5', k6, ...args], {
    cwd: folders.root,
    env: {
      ...inherited,
      MILLRACE_GATEWAY_URL: url,
      ...(options.rate !== undefined && { RATE: String(options.rate) }),
      ...(options.duration !== undefined && { DURATION: options.duration }),
      ...(options.summaryFile !== undefined && { SUMMARY_FILE: resolve(options.summaryFile) }),
    },
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    detached: true,
  })
  const ended = new Promise<number>((resolveCode) => {
    child.once('error', () => resolveCode(127))
    child.once('exit', (code) => resolveCode(code ?? 1))
  })
  // k6 ends the run and still prints what it has measured.
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    const code = await Promise.race([ended, lateAfterAbort(signal)])
    if (code === undefined && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    report(`Load of this machine (1 minute, all processes): ${loadBefore} before, ${loadNow()} after`)
    return code ?? 1
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** Resolves when k6 has had its time to end after an abort. */
async function lateAfterAbort(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done, { once: true }))
  await delay(limits.stopDeadlineMs.load, undefined, { ref: false })
}

function loadNow(): string {
  return (loadavg()[0] ?? 0).toFixed(1)
}

function gibibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 3)} GiB`
}
