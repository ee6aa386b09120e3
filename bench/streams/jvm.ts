import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { BenchError } from '../bench-error.ts'
import { MeasuredProcess } from '../measured-process.ts'
import type { RowKey } from './totals.ts'

const run = promisify(execFile)
const folder = fileURLToPath(new URL('../peers/jvm-streams/', import.meta.url))
const schemaFile = fileURLToPath(new URL('../../schemas/avro/event.avsc', import.meta.url))

/** Kafka Streams 4.1 runs from Java 17 on. */
const javaVersionMin = 17

/** The first build fetches 60 MB. */
const buildDeadlineMs = 10 * 60_000

/** As much as our side's old generation. */
export const jvmHeapMb = 2_048

/** The peer as it stands in tables. */
export const jvmName = 'Kafka Streams 4.1 (JVM)'

/** What the JVM's side is to do. */
export interface JvmSettings {
  readonly broker: string
  readonly input: string
  readonly output: string
  readonly by: RowKey
  readonly measure: 'input' | 'restore'
  readonly applicationId: string
  readonly stateFolder: string
}

/** Why the JVM's side cannot run here, or undefined when it was built. */
export async function prepareJvm(
  environment: NodeJS.ProcessEnv,
  report: (line: string) => void,
): Promise<string | undefined> {
  const java = await run('java', ['-version'], { env: environment }).catch(() => undefined)
  const version = Number(/version "(\d+)/.exec(java?.stderr ?? '')?.[1])
  if (!(version >= javaVersionMin))
    return `there is no Java ${javaVersionMin} or newer on PATH: install a JDK (https://adoptium.net) and Maven`
  const maven = await run('mvn', ['--version'], { env: environment }).catch(() => undefined)
  if (maven === undefined)
    return 'there is no Maven on PATH, which fetches Kafka Streams: https://maven.apache.org/install.html'
  report(
    existsSync(join(folder, 'target'))
      ? 'Building the JVM side …'
      : 'Building the JVM side, the first time with its libraries …',
  )
  try {
    await run('mvn', ['-q', '-B', 'package', 'dependency:copy-dependencies', '-DoutputDirectory=target/libs'], {
      cwd: folder,
      env: environment,
      timeout: buildDeadlineMs,
    })
  } catch (cause) {
    const output = cause instanceof Error && 'stdout' in cause ? String(cause.stdout) : String(cause)
    throw new BenchError(`The JVM side could not be built in ${folder}:\n${output}`, { cause })
  }
  return undefined
}

/** Starts the JVM's side. */
export function startJvm(settings: JvmSettings, environment: NodeJS.ProcessEnv): MeasuredProcess {
  const options = { ...settings, schema: schemaFile }
  return new MeasuredProcess({
    title: 'the JVM side',
    command: 'java',
    args: [
      `-Xmx${jvmHeapMb}m`,
      '-cp',
      `${join(folder, 'target', 'jvm-streams-1.jar')}:${join(folder, 'target', 'libs')}/*`,
      'io.millrace.bench.StreamsPeer',
      ...Object.entries(options).map(([name, value]) => `${name}=${value}`),
    ],
    environment,
  })
}
