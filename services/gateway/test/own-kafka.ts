import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createFolders, layFolders } from '../../../deploy/local/src/folders.ts'
import { obtainJava, systemSearch } from '../../../deploy/local/src/java.ts'
import { fetchKafka, kafkaServer } from '../../../deploy/local/src/kafka.ts'
import { freePorts } from '../../../deploy/local/src/ports.ts'
import { baseEnvironment } from '../../../deploy/local/src/process.ts'
import { type OwnProcess, ownProcess } from './own-process.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')
const readyWithinMs = 120_000
/** Of one question while it starts: a busy machine is slow to answer. */
const answerWithinMs = 5_000

/** A Kafka of one test; its data stays over kills. */
export interface OwnKafka extends OwnProcess {
  readonly address: string
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
  const { command, args, env } = component.spec
  const server = ownProcess({
    name: 'Kafka',
    command,
    args,
    env,
    folder: instance,
    isReady: () => component.isReady(AbortSignal.timeout(answerWithinMs)).catch(() => false),
    readyWithinMs,
  })
  return { address: `127.0.0.1:${port}`, ...server }
}
