import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { LauncherError } from './errors.ts'
import type { Java } from './java.ts'
import { isAlive } from './leftovers.ts'
import { limits } from './limits.ts'
import { guardScript } from './process.ts'
import { versions } from './versions.ts'

/** A Maven coordinate, for instance `org.apache.kafka:kafka_2.13:4.1.2` or `group:artifact:version:tar.gz:all`. */
export type Coordinate = string

/** What the downloads need: Maven's command and a Java for it. */
export interface Maven {
  readonly java: Java
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

const plugin = `org.apache.maven.plugins:maven-dependency-plugin:${versions.mavenDependencyPlugin}`

/**
 * The jars of `coordinates` with everything they need at run time, in `folder`. Fetched once: the folder appears under
 * its name only when it is complete, so that an interrupted download is repeated and never trusted.
 */
export async function fetchWithDependencies(
  maven: Maven,
  name: string,
  folder: string,
  coordinates: readonly Coordinate[],
): Promise<void> {
  await fetchOnce(maven, folder, async (partial, environment) => {
    await writeFile(join(partial, 'pom.xml'), pomOf(coordinates))
    await runMaven(maven, {
      name,
      environment,
      cwd: partial,
      args: [`${plugin}:copy-dependencies`, `-DoutputDirectory=${join(partial, 'lib')}`, '-DincludeScope=runtime'],
    })
    const jars = await readdir(join(partial, 'lib'))
    if (jars.length === 0)
      throw new LauncherError('DOWNLOAD_FAILED', `Maven fetched no jar for ${coordinates.join(', ')}`)
  })
}

/** The unpacked content of one archive artifact (jar, zip, tar.gz) in `folder`; fetched once, as above. */
export async function fetchUnpacked(maven: Maven, name: string, folder: string, coordinate: Coordinate): Promise<void> {
  await fetchOnce(maven, folder, async (partial, environment) => {
    await runMaven(maven, {
      name,
      environment,
      cwd: partial,
      args: [
        `${plugin}:unpack`,
        `-Dartifact=${coordinate}`,
        `-DoutputDirectory=${partial}`,
        `-Dmdep.unpack.markersDirectory=${join(partial, '.markers')}`,
      ],
    })
  })
}

async function fetchOnce(
  maven: Maven,
  folder: string,
  fetch: (partial: string, environment: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) return
  const environment = workingEnvironment(maven)
  if (environment === undefined) {
    throw new LauncherError(
      'MAVEN_MISSING',
      `Maven is needed once, to fetch Kafka, the schema registry and MariaDB. ${mavenFixes}`,
    )
  }
  await removeAbandoned(folder)
  const partial = `${folder}.partial-${process.pid}`
  await mkdir(partial, { recursive: true })
  try {
    await fetch(partial, environment)
    await rename(partial, folder)
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

/** Removes what a killed launcher had begun to fetch. */
async function removeAbandoned(folder: string): Promise<void> {
  const parent = dirname(folder)
  await mkdir(parent, { recursive: true })
  const prefix = `${basename(folder)}.partial-`
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix) || isAlive(Number(name.slice(prefix.length)))) continue
    await rm(join(parent, name), { recursive: true, force: true })
  }
}

/** How to get Maven, for messages. */
export const mavenFixes = 'Fix: `apt-get install maven`, `brew install maven`, or https://maven.apache.org/install.html'

/** Runs Maven, says every few seconds how far it is, and fails with its error lines. */
async function runMaven(
  maven: Maven,
  { name, environment, cwd, args }: { name: string; environment: NodeJS.ProcessEnv; cwd: string; args: string[] },
): Promise<void> {
  const started = performance.now()
  const seconds = () => `${Math.round((performance.now() - started) / 1_000)} s`
  maven.report(`Fetching ${name} …`)
  const signal = AbortSignal.any([maven.signal, AbortSignal.timeout(limits.downloadDeadlineMs)])
  // Under the guard, as the servers are: a killed launcher leaves no Maven behind.
  const child = spawn('/bin/sh', [guardScript, join(cwd, 'mvn.pid'), '0', '5', 'mvn', '--batch-mode', ...args], {
    cwd,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
    signal,
  })
  let files = 0
  let current = 'resolving'
  const errors: string[] = []
  const read = (line: string) => {
    const path = /Download(?:ing|ed) from \S+: (\S+)/.exec(line)?.[1]
    if (path !== undefined) current = path.slice(path.lastIndexOf('/') + 1)
    if (/Downloaded from/.test(line)) files++
    if (/Unpacking|Copying/.test(line)) current = 'unpacking'
    if (namesCause(line) && errors.length < limits.logLinesShown) errors.push(line)
  }
  for (const output of [child.stdout, child.stderr])
    if (output !== null) createInterface({ input: output }).on('line', read)
  const progress = setInterval(
    () => maven.report(`  ${name}: ${files} files fetched, now ${current}, ${seconds()}`),
    limits.progressMs,
  )
  const ended = await new Promise<number | Error>((resolve) => {
    child.once('error', resolve)
    child.once('close', (code) => resolve(code ?? -1))
  })
  clearInterval(progress)
  if (maven.signal.aborted) throw new LauncherError('INTERRUPTED', 'Stopped while fetching')
  if (ended !== 0) {
    const lines = errors.length > 0 ? errors.join('\n') : String(ended)
    const hint = 'Fix: check the network, and proxy or mirror in ~/.m2/settings.xml; then run the command again'
    throw new LauncherError(
      'DOWNLOAD_FAILED',
      `Maven could not fetch ${name} (ended with ${ended}):\n${lines}\n${hint}`,
    )
  }
  maven.report(`Fetched ${name} in ${seconds()}`)
}

/** Maven closes with advice about itself, which helps nobody here. */
function namesCause(line: string): boolean {
  return /\[(ERROR|FATAL)\]\s+\S/.test(line) && !/^\[ERROR\] (Re-run|To see|For more information|\[Help)/.test(line)
}

/**
 * The environment in which Maven runs: ours, since its own Java may know certificates and proxies that another does not;
 * with the servers' Java when it finds none. Undefined when there is no Maven.
 */
function workingEnvironment({ environment, java }: Maven): NodeJS.ProcessEnv | undefined {
  const candidates = [{ ...environment }, { ...environment, JAVA_HOME: java.home }]
  return candidates.find((env) => spawnSync('mvn', ['--version'], { env, stdio: 'ignore' }).status === 0)
}

function pomOf(coordinates: readonly Coordinate[]): string {
  const dependencies = coordinates.map((coordinate) => {
    const [group, artifact, version] = coordinate.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
  })
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>millrace.local</groupId><artifactId>server</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join('')}</dependencies></project>
`
}
