import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { LauncherError } from './errors.ts'
import type { Folders } from './folders.ts'
import { limits } from './limits.ts'
import { guardScript } from './process.ts'
import { versions } from './versions.ts'

/** What is needed to find or build k6. */
export interface K6Search {
  readonly folders: Folders
  /** All of the caller's environment: Go's proxies and caches are in variables that we do not know. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

/** The oldest version that reads TypeScript by itself: major and minor. */
const versionMin = [0, 57] as const

/**
 * The command that runs k6: the one on PATH when it is new enough, else one that Go has built from its sources into the servers' folder, once. Throws
 * K6_MISSING with the ways to get either.
 */
export async function obtainK6(search: K6Search): Promise<string> {
  const { folders, environment } = search
  if (isRecent(versionOf('k6', environment))) return 'k6'
  const folder = join(folders.servers, `k6-${versions.k6}`)
  const binary = join(folder, 'k6')
  if (existsSync(binary)) return binary
  if (spawnSync('go', ['version'], { env: { ...environment }, stdio: 'ignore' }).status !== 0) {
    throw new LauncherError('K6_MISSING', `Load tests are run by k6, and neither k6 nor Go is on PATH. ${k6Fixes}`)
  }
  await build(search, folder)
  return binary
}

/** How to get k6, for messages. */
export const k6Fixes =
  'Fix: install k6 (https://grafana.com/docs/k6/latest/set-up/install-k6/), or Go (https://go.dev/doc/install), with which it is built once'

/** Major and minor version in what `k6 version` prints; undefined when it says none. */
export function parseK6Version(output: string): readonly [number, number] | undefined {
  const match = /\bv(\d+)\.(\d+)\.\d+/.exec(output)
  return match === null ? undefined : [Number(match[1]), Number(match[2])]
}

/** Whether a k6 of this version runs our scripts. */
export function isRecent(version: readonly [number, number] | undefined): boolean {
  if (version === undefined) return false
  const [major, minor] = version
  return major > versionMin[0] || (major === versionMin[0] && minor >= versionMin[1])
}

function versionOf(command: string, environment: K6Search['environment']) {
  const { status, stdout } = spawnSync(command, ['version'], { env: { ...environment }, encoding: 'utf8' })
  return status === 0 ? parseK6Version(stdout) : undefined
}

/** The folder appears under its name only when it is complete, as every download. */
async function build({ environment, report, signal }: K6Search, folder: string): Promise<void> {
  const partial = `${folder}.partial-${process.pid}`
  const started = performance.now()
  const seconds = () => `${Math.round((performance.now() - started) / 1_000)} s`
  report(`Building k6 ${versions.k6} with Go, once; it takes a minute or two …`)
  const progress = setInterval(() => report(`  k6: ${fetched} modules fetched, ${seconds()}`), limits.buildProgressMs)
  let fetched = 0
  const lines: string[] = []
  try {
    await mkdir(partial, { recursive: true })
    const args = [join(partial, 'go.pid'), '0', '5', 'go', 'install', `go.k6.io/k6@v${versions.k6}`]
    const child = spawn('/bin/sh', [guardScript, ...args], {
      // For this machine, whatever it builds for otherwise.
      env: { ...environment, GOBIN: partial, GOOS: undefined, GOARCH: undefined },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
      signal: AbortSignal.any([signal, AbortSignal.timeout(limits.downloadDeadlineMs)]),
    })
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on('line', (line) => {
        if (line.startsWith('go: downloading')) fetched++
        else lines.push(line)
        if (lines.length > limits.logLinesShown) lines.shift()
      })
    }
    const ended = await new Promise<number | Error>((resolve) => {
      child.once('error', resolve)
      child.once('close', (code) => resolve(code ?? -1))
    })
    if (signal.aborted) throw new LauncherError('INTERRUPTED', 'Stopped while building k6')
    if (ended !== 0) {
      throw new LauncherError('K6_MISSING', `Go could not build k6 (${ended}):\n${lines.join('\n')}\n${k6Fixes}`)
    }
    await rename(partial, folder)
  } finally {
    clearInterval(progress)
    await rm(partial, { recursive: true, force: true })
  }
  report(`Built k6 in ${seconds()}`)
}
