import { type Consumer, Kafka, logLevel } from 'kafkajs'

/** A record of the results topic, as a reader saw it. */
export interface ReadRecord {
  readonly offset: number
  readonly key: string
  readonly value: string
}

/** A subscriber of the results, with an independent client, that reads while things break. It keeps what it saw, in order. */
export class LiveReader {
  /** What was seen, by partition, offsets growing. */
  readonly seen: readonly ReadRecord[][]
  /** What it saw again after it had to begin anew and was not the same; and what came before something that it had seen. */
  readonly contradictions: string[] = []
  readonly #consumer: Consumer
  readonly #topic: string

  constructor(of: {
    readonly brokers: readonly string[]
    readonly topic: string
    readonly partitions: number
    readonly groupId: string
    readonly readUncommitted: boolean
  }) {
    this.#topic = of.topic
    this.seen = Array.from({ length: of.partitions }, () => [])
    const retry = { initialRetryTime: 100, maxRetryTime: 2_000, retries: 100, restartOnFailure: async () => true }
    const kafka = new Kafka({ clientId: 'subscriber', brokers: [...of.brokers], logLevel: logLevel.NOTHING, retry })
    const { groupId, readUncommitted } = of
    this.#consumer = kafka.consumer({ groupId, readUncommitted, sessionTimeout: 10_000, maxWaitTimeInMs: 200, retry })
  }

  async start(): Promise<void> {
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topics: [this.#topic], fromBeginning: true })
    // No offset is committed: after a break it reads everything again, and must see the same.
    await this.#consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        const key = message.key?.toString() ?? ''
        this.#see(partition, { offset: Number(message.offset), key, value: message.value?.toString() ?? '' })
      },
    })
  }

  async stop(): Promise<void> {
    await this.#consumer.disconnect()
  }

  #see(partition: number, record: ReadRecord): void {
    const seen = this.seen[partition]
    if (seen === undefined) return
    const last = seen.at(-1)
    if (last === undefined || record.offset > last.offset) {
      seen.push(record)
      return
    }
    const before = seen[lowerBound(seen, record.offset)]
    if (before?.offset === record.offset && before.key === record.key && before.value === record.value) return
    this.contradictions.push(
      `partition ${partition} offset ${record.offset}: ${record.key} ${record.value} was read when the reader began anew, and before ${before?.offset === record.offset ? `${before.key} ${before.value}` : 'nothing'}`,
    )
  }
}

/** The index of the first record whose offset is not below `offset`. */
export function lowerBound(records: readonly ReadRecord[], offset: number): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((records[middle]?.offset ?? 0) < offset) low = middle + 1
    else high = middle
  }
  return low
}
