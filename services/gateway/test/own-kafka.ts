import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createFolders, layFolders } from '../../../deploy/local/src/folders.ts'
import { obtainJava, systemSearch } from '../../../deploy/local/src/java.ts'
import { fetchKafka, kafkaServer } from '../../../deploy/local/src/kafka.ts'
import { freePorts } from '../../../deploy/local/src/ports.ts'
import { baseEnvironment } from '../../../deploy/local/src/process.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')
const readyWithinMs = 120_000
/** Of one question while it starts: a busy machine is slow to answer. */
const answerWithinMs = 5_000

/** A Kafka of one test, which may be killed and stopped without anybody else noticing. */
export interface OwnKafka {
  readonly address: string
  /** Starts it, again after a kill with the same data, and waits until it answers. */
  start(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGSTOP: the system goes on taking requests in for it, and nobody answers them. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** Kills it and deletes its data. */
  close(): Promise<void>
}

/** Prepares a Kafka on free ports; it does not run yet. */
export async function prepareOwnKafka(): Promise<OwnKafka> {
  const instance = mkdtempSync(join(tmpdir(), 'millrace-own-kafka-'))
  const folders = layFolders({ root, cache: `${root}/.millrace`, instance })
  createFolders(folders)
  const signal = AbortSignal.timeout(120_000)
  const report = () => {}
  const java = await obtainJava({
    search: systemSearch(process.env),
    cacheFolder: folders.servers,
    report,
    signal,
  })
  const jars = await fetchKafka({ java, environment: process.env, report, signal }, folders)
  const [port = 0, controllerPort = 0] = await freePorts(2)
  const environment = baseEnvironment(process.env)
  const component = kafkaServer({ java, jars, folders, port, controllerPort, environment })
  await component.prepare(signal)
  let child: ChildProcess | undefined

  async function kill(): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  const killAtExit = () => child?.kill('SIGKILL')
  process.once('exit', killAtExit)

  return {
    address: `127.0.0.1:${port}`,
    async start() {
      child = spawn(component.spec.command, [...component.spec.args], {
        env: { ...component.spec.env },
        stdio: 'ignore',
      })
      const deadline = Date.now() + readyWithinMs
      while (!(await component.isReady(AbortSignal.timeout(answerWithinMs)).catch(() => false))) {
        if (Date.now() > deadline || child.exitCode !== null) throw new Error('the Kafka of this test does not start')
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    },
    kill,
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    async close() {
      await kill()
      process.off('exit', killAtExit)
      rmSync(instance, { recursive: true, force: true })
    },
  }
}
