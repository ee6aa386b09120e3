import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** With every dependency to be fetched; a warm build takes four seconds. */
const buildMsMax = 150_000

/** Kafka Streams takes three seconds to start and two to close, on a machine with nothing else to do. */
const answerMsMax = 60_000

/** The JVM takes what it finds of memory otherwise. */
// UTF-8 whatever the locale: rows go to its standard output.
const javaFlags = [
  '-Dfile.encoding=UTF-8',
  '-Dstdout.encoding=UTF-8',
  '-Dsun.stdout.encoding=UTF-8',
  '-Xmx256m',
  '-XX:+UseSerialGC',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
]

/** Compiles jvm-changelog into `folder` and answers the class path. Throws with what to install when Maven or the JDK is missing. */
export async function buildJvmProject(folder: string): Promise<string> {
  const project = join(import.meta.dirname, 'jvm-changelog', 'pom.xml')
  const classPathFile = join(folder, 'class-path')
  const goals = ['compile', 'dependency:build-classpath', `-Dmdep.outputFile=${classPathFile}`]
  try {
    await run('mvn', ['--batch-mode', '--quiet', '--file', project, `-Doutput.directory=${folder}`, ...goals], {
      timeout: buildMsMax,
    })
  } catch (cause) {
    throw new Error(
      `jvm-changelog was not built: this test needs Maven and a JDK from 17 on (\`apt-get install maven openjdk-17-jdk-headless\`, \`brew install maven\`), and Maven Central the first time. It said: ${saidBy(cause)}`,
      { cause },
    )
  }
  return `${join(folder, 'classes')}:${readFileSync(classPathFile, 'utf8').trim()}`
}

/** The end of what Maven has printed, or why it could not be started. */
function saidBy(failure: unknown): string {
  const { stdout, stderr } = { stdout: '', stderr: '', ...Object(failure) }
  return `${stdout}${stderr}`.trim().slice(-1_000) || String(failure)
}

/** A row of a store, as one of the programs says it. */
export interface Row {
  readonly store: string
  readonly key: string
  /** −1 in tables. */
  readonly startMs: number
  readonly value: number
  readonly timestamp: number
}

/** One of the programs of jvm-changelog, which ends when its stdin does. */
export class JvmProgram {
  /** What it has said besides rows. */
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #name: string
  #rows: Row[] = []
  #errors = ''
  #heard: () => void = () => {}

  constructor(classPath: string, name: string, args: readonly string[]) {
    this.#name = name
    this.#child = spawn(javaCommand(), [...javaFlags, '-cp', classPath, `millrace.interop.${name}`, ...args])
    this.#exited = once(this.#child, 'close').then(
      () => this.#heard(),
      (error: unknown) => {
        this.#errors += String(error)
        this.#heard()
      },
    )
    this.#child.stderr?.on('data', (data) => {
      this.#errors += String(data)
    })
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        if (line.startsWith('row\t')) this.#rows.push(rowOf(line))
        else this.lines.push(line)
        this.#heard()
      })
    }
  }

  /** Resolves when it says `line`, or has said it. */
  async said(line: string): Promise<void> {
    await this.#until(line, () => this.lines.includes(line))
  }

  /** Asks for the rows of all stores. */
  async askForRows(): Promise<readonly Row[]> {
    this.#child.stdin?.write('\n')
    return this.nextRows()
  }

  /** The rows up to the next `end`. */
  async nextRows(): Promise<readonly Row[]> {
    await this.#until('end', () => this.lines.at(-1) === 'end')
    const rows = this.#rows
    this.#rows = []
    this.lines.pop()
    return rows
  }

  /** Closes it and answers its exit code. */
  async close(): Promise<number | null> {
    this.#child.stdin?.end()
    await this.#until('its end', () => this.#child.exitCode !== null)
    return this.#child.exitCode
  }

  /** Ends it whatever it does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = Date.now() + answerMsMax
    while (!isSo()) {
      if (this.#child.exitCode !== null || this.#child.pid === undefined) throw this.#failure(`ended before ${what}`)
      const leftMs = deadline - Date.now()
      if (leftMs <= 0) throw this.#failure(`said nothing of ${what} within ${answerMsMax} ms`)
      await this.#hear(leftMs)
    }
  }

  async #hear(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#heard = resolve
    const timer = setTimeout(resolve, waitMs)
    await promise
    clearTimeout(timer)
  }

  #failure(what: string): Error {
    return new Error(`${this.#name} ${what} (exit code ${this.#child.exitCode}):\n${this.#errors.slice(-4_000)}`)
  }
}

/** The one that Maven takes. */
function javaCommand(): string {
  const home = process.env.JAVA_HOME
  return home === undefined || home === '' ? 'java' : join(home, 'bin', 'java')
}

function rowOf(line: string): Row {
  const [, store = '', key = '', startMs, value, timestamp] = line.split('\t')
  return { store, key, startMs: Number(startMs), value: Number(value), timestamp: Number(timestamp) }
}
