import { type Logger, type Shutdown, sleep, waitFor } from '@millrace/kit'
import type { TopicName } from '@millrace/schemas'
import type { Broker, Producer } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { spillDoubtMs, spillProducerCloseMs, startWithoutMs } from '../limits.ts'
import type { KnownCluster } from '../spill/known-cluster.ts'
import { answerWithin } from './answer-within.ts'
import { lateProducer } from './late-producer.ts'

/** The topics that the gateway cannot do without. */
const topicsNeeded = ['events', 'leads', 'lead-outcomes', 'stats', 'api-logs'] as const satisfies readonly TopicName[]

/** Kafka, as the gateway uses it. */
export interface GatewayKafka {
  readonly broker: Broker
  readonly producer: Producer
  /** Of its own, so that no log ever stands in the way of an event. */
  readonly logProducer: Producer
  readonly partitions: ReadonlyMap<string, number>
  /** It did not answer at the start, and has not since. */
  isAway(): boolean
  /** Throws what keeps it from answering. */
  check(): Promise<void>
}

/** How to open it. */
export interface OpenKafkaOptions {
  readonly brokers: readonly string[]
  readonly ackTimeoutMs: number
  /** Records that Kafka does not take are kept. */
  readonly isSpilling: boolean
  /** With it, a start does without Kafka. */
  readonly known: KnownCluster | undefined
  readonly logger: Logger
  readonly shutdown: Shutdown
}

/**
 * Opens Kafka: as soon as it answers and has the topics; or, with what is known from an earlier start, when it has not answered for a while: then its producers are opened as soon as it does. Throws as
 * `waitFor`.
 */
export async function openKafka(options: OpenKafkaOptions): Promise<GatewayKafka> {
  const { brokers, ackTimeoutMs, isSpilling, known, logger, shutdown } = options
  // Said before, because the client tries by itself for a while before it reports that nobody answers.
  logger.info({ dependency: 'Kafka', url: brokers.join(',') }, 'connecting')
  const broker = connectKafka({ brokers: [...brokers], clientId: 'millrace-gateway' })
  const admin = await broker.openAdmin()
  shutdown.onClose('Kafka administration', () => admin.close())
  const patience = known === undefined ? {} : { deadlineMs: Number.POSITIVE_INFINITY }
  const waiting = { logger, signal: shutdown.signal, ...patience }
  const describing = waitFor(
    'Kafka',
    async () => {
      const found = await admin.describeTopics(topicsNeeded)
      const missing = topicsNeeded.filter((name) => !found.has(name))
      if (missing.length > 0) throw new Error(`the topics ${missing.join(', ')} do not exist yet: provision them`)
      return new Map([...found].map(([name, topic]) => [name, topic.partitions]))
    },
    waiting,
  )
  const described = known === undefined ? await describing : await answerWithin(describing, startWithoutMs)
  const partitions = described ?? known?.partitions ?? new Map<string, number>()
  let isAway = described === undefined
  if (isAway) {
    logger.warn(
      { dependency: 'Kafka' },
      'Kafka does not answer: starting with what is known of it; records are kept until it is back',
    )
    describing.then(
      (found) => {
        isAway = false
        const changed = [...found].filter(([topic, count]) => partitions.get(topic) !== count).map(([topic]) => topic)
        if (changed.length > 0)
          logger.error(
            { topics: changed },
            'topics have other numbers of partitions than when this gateway started: restart it',
          )
      },
      // Closing.
      () => {},
    )
  }
  const openProducer = async (clientId: string, deliveryTimeoutMs: number) => {
    const opening = waitFor('Kafka', () => broker.openProducer({ clientId, deliveryTimeoutMs }), waiting)
    const producer = isAway ? lateProducer(opening) : await opening
    // What a producer is not answered for any more is in the spill log: no reason to wait for Kafka to come back.
    const inTime = () => Promise.race([producer.close(), sleep(spillProducerCloseMs)])
    shutdown.onClose(`the producer ${clientId}`, isSpilling ? inTime : () => producer.close())
    return producer
  }
  return {
    broker,
    partitions,
    producer: await openProducer('millrace-gateway', isSpilling ? spillDoubtMs : ackTimeoutMs),
    logProducer: await openProducer('millrace-gateway-api-log', ackTimeoutMs),
    isAway: () => isAway,
    check: async () => {
      await admin.describeTopics(['events'])
    },
  }
}
