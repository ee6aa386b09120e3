import { fileURLToPath } from 'node:url'
import { createFolders, layFolders } from './folders.ts'
import { obtainJava, systemSearch } from './java.ts'
import { fetchKafka, kafkaServer } from './kafka.ts'
import { freePorts } from './ports.ts'
import { baseEnvironment } from './process.ts'
import { createStack } from './stack.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')

/** Where a Kafka of its own goes, and what it may say. */
export interface KafkaAloneOptions {
  /** For its data and log; of this broker alone, and made when it does not exist. */
  readonly folder: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly report: (line: string) => void
  /** Aborted when starting is to end early. */
  readonly signal: AbortSignal
}

/** A broker that runs. */
export interface KafkaAlone {
  /** As `host:port`, on the loopback address. */
  readonly address: string
  /** Resolves with the reason when the broker could not be kept running; never rejects. */
  readonly failed: Promise<Error>
  /** Idempotent; resolves when the process is gone. The data stay. */
  readonly stop: () => Promise<void>
}

/**
 * One Kafka on free ports and nothing else, for measurements. It shares the downloads with `npm start` and ends with the process that
 * started it. Throws a `LauncherError` with the cause when Java or Maven are missing, or when it does not start.
 */
export async function startKafkaAlone(options: KafkaAloneOptions): Promise<KafkaAlone> {
  const { folder, environment, report, signal } = options
  const folders = layFolders({ root, cache: `${root}/.millrace`, instance: folder })
  createFolders(folders)
  const stack = createStack({ folders, report, signal })
  try {
    const java = await obtainJava({ search: systemSearch(environment), cacheFolder: folders.servers, report, signal })
    const jars = await fetchKafka({ java, environment, report, signal }, folders)
    const [port = 0, controllerPort = 0] = await freePorts(2)
    const server = { java, jars, folders, port, controllerPort, environment: baseEnvironment(environment) }
    await stack.start(kafkaServer(server), 0, signal)
    return { address: `127.0.0.1:${port}`, failed: stack.failed, stop: stack.stop }
  } catch (error) {
    await stack.stop()
    throw error
  }
}
