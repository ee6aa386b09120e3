import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** A server of one test, which may be killed and stopped without anybody else noticing. */
export interface OwnProcess {
  /** Starts it, again after a kill with the same folder, and waits until it answers. */
  start(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGSTOP: the system goes on taking requests in for it, and nobody answers them. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** Kills it and deletes its folder. */
  close(): Promise<void>
}

/** What a server is, and when it answers. */
export interface OwnProcessOptions {
  /** For errors. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** All that it leaves on the disk. */
  readonly folder: string
  readonly isReady: () => Promise<boolean>
  readonly readyWithinMs: number
}

const betweenQuestionsMs = 100
/** Of what it has said, for errors. */
const saidCharsMax = 4_000

/** Prepares a server; it does not run yet. It ends with this process at the latest. */
export function ownProcess(options: OwnProcessOptions): OwnProcess {
  const { name, command, args, env, folder, isReady, readyWithinMs } = options
  let child: ChildProcess | undefined
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  const killAtExit = () => child?.kill('SIGKILL')
  process.once('exit', killAtExit)
  return {
    async start() {
      const started = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(env === undefined ? {} : { env }) })
      child = started
      let said = ''
      for (const stream of [started.stdout, started.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => {
          said = (said + text).slice(-saidCharsMax)
        })
      const deadlineMs = Date.now() + readyWithinMs
      while (!(await isReady())) {
        if (Date.now() > deadlineMs || started.exitCode !== null)
          throw new Error(
            `the ${name} of this test does not start (exit code ${started.exitCode}); it said last:\n${said}`,
          )
        await delay(betweenQuestionsMs)
      }
    },
    kill,
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    async close() {
      await kill()
      process.off('exit', killAtExit)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
