import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Component } from './component.ts'
import type { Folders } from './folders.ts'
import type { Java } from './java.ts'
import { limits } from './limits.ts'
import { fetchWithDependencies, type Maven } from './maven.ts'
import { firstBytes } from './probe.ts'
import { type ProcessSpec, runCommand } from './process.ts'
import { versions } from './versions.ts'

/** Fetches Kafka once and answers the folder with its jars. */
export async function fetchKafka(maven: Maven, folders: Folders): Promise<string> {
  const folder = join(folders.servers, `kafka-${versions.kafka}`)
  await fetchWithDependencies(maven, `Apache Kafka ${versions.kafka} (43 MB)`, folder, [
    `org.apache.kafka:kafka_2.13:${versions.kafka}`,
    `org.apache.logging.log4j:log4j-slf4j-impl:${versions.log4j}`,
  ])
  return join(folder, 'lib')
}

/** What a Kafka of ours needs to know. */
export interface KafkaOptions {
  readonly java: Java
  readonly jars: string
  readonly folders: Folders
  readonly port: number
  readonly controllerPort: number
  readonly environment: Readonly<Record<string, string>>
}

/** Apache Kafka: KRaft, one node that is broker and controller, on the loopback address only. */
export function kafkaServer(options: KafkaOptions): Component {
  const { folders, port } = options
  const data = join(folders.data, 'kafka')
  const properties = join(folders.run, 'kafka.properties')
  const logging = join(folders.run, 'kafka-log4j2.properties')

  return {
    name: 'kafka',
    title: `Apache Kafka ${versions.kafka}`,
    address: `127.0.0.1:${port}`,
    readyDeadlineMs: limits.readyDeadlineMs.kafka,
    spec: java('kafka', ['-Xms64m', '-Xmx384m', '-XX:MaxDirectMemorySize=128m'], ['kafka.Kafka', properties]),
    isReady: async (signal) => isApiVersionsAnswer(await firstBytes(port, apiVersionsRequest(), signal)),
    prepare: async (signal) => {
      writeFileSync(logging, loggingProperties)
      writeFileSync(properties, propertiesText(serverProperties(options, data)))
      if (existsSync(join(data, 'meta.properties'))) return
      await format(signal)
    },
  }

  /** Formats beside the data folder and renames, so that an interrupted format is repeated. */
  async function format(signal: AbortSignal): Promise<void> {
    const partial = `${data}.partial`
    const partialProperties = join(folders.run, 'kafka-format.properties')
    await rm(partial, { recursive: true, force: true })
    writeFileSync(partialProperties, propertiesText(serverProperties(options, partial)))
    const clusterId = randomBytes(16).toString('base64url')
    const command = java(
      'kafka-format',
      ['-Xmx128m'],
      // In one word: of 64 ids one begins with a hyphen, and would be taken for an option.
      ['kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', partialProperties],
    )
    await runCommand(command, folders, { deadlineMs: limits.prepareDeadlineMs, signal, code: 'PREPARE_FAILED' })
    await rm(data, { recursive: true, force: true })
    await rename(partial, data)
  }

  function java(name: string, flags: string[], args: string[]): ProcessSpec {
    return {
      name,
      kind: 'server',
      command: join(options.java.home, 'bin', 'java'),
      args: [
        ...flags,
        '-XX:+UseSerialGC',
        '-Djava.awt.headless=true',
        `-Dlog4j2.configurationFile=${logging}`,
        '-cp',
        join(options.jars, '*'),
        ...args,
      ],
      env: { ...options.environment },
    }
  }
}

/**
 * The broker's settings. Everything that Kafka keeps threefold is kept once here; groups start without the three
 * seconds that production waits for more members; internal topics have few partitions, since each costs files.
 */
export function serverProperties(
  options: Pick<KafkaOptions, 'port' | 'controllerPort'>,
  data: string,
): Record<string, string | number | boolean> {
  const { port, controllerPort } = options
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 8,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 2,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024,
    'num.network.threads': 2,
    'num.io.threads': 4,
  }
}

function propertiesText(properties: Record<string, string | number | boolean>): string {
  // A backslash is the escape character of this format; folders may hold one.
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\')}`)
  return `${lines.join('\n')}\n`
}

const loggingProperties = `rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=STDOUT
logger.server.name=kafka.server
logger.server.level=INFO
logger.config.name=kafka.server.KafkaConfig
logger.config.level=WARN
logger.app.name=org.apache.kafka.common.utils.AppInfoParser
logger.app.level=INFO
appender.stdout.type=Console
appender.stdout.name=STDOUT
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5p %m (%c{1})%n
`

/*
 * ApiVersions v0, the one request that any broker answers:
 *   int32 length · int16 api key (18) · int16 version (0) · int32 correlation id · int16 client id length (-1: none)
 * The answer begins int32 length · int32 correlation id · int16 error code. Kafka answers it only once it serves requests.
 */
const correlationId = 0x4d494c4c

function apiVersionsRequest(): Buffer {
  const request = Buffer.alloc(14)
  request.writeInt32BE(10, 0)
  request.writeInt16BE(18, 4)
  request.writeInt16BE(0, 6)
  request.writeInt32BE(correlationId, 8)
  request.writeInt16BE(-1, 12)
  return request
}

function isApiVersionsAnswer(answer: Buffer): boolean {
  return answer.length >= 10 && answer.readInt32BE(4) === correlationId && answer.readInt16BE(8) === 0
}
