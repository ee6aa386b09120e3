import { initProducerIdV4 } from '@platformatic/kafka'
import type { ProducedBatch, Producer, ProducerOptions } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
import { BatchSender, type SenderOptions } from './batch-sender.ts'
import type { Cluster } from './cluster.ts'
import { kafkaLimits } from './limits.ts'
import type { ProducerIdentity } from './partition-queue.ts'
import { produceWire } from './produce-wire.ts'
import { requireNone, responseOf } from './protocol-error.ts'

/** What a producer's options mean to its sender, with their defaults. */
export function senderOptions(options: ProducerOptions): SenderOptions {
  const { compression = 'none', deliveryTimeoutMs = 30_000, batchBytesMax = kafkaLimits.batchBytesMax } = options
  return { compression, deliveryTimeoutMs, batchBytesMax }
}

/** An idempotent producer: has its producer id before the first record is sent, and repeats batches under the same sequence numbers. */
export class KafkaProducer implements Producer {
  readonly #cluster: Cluster
  readonly #sender: BatchSender
  #closing: Promise<void> | undefined

  private constructor(cluster: Cluster, options: ProducerOptions, identity: ProducerIdentity) {
    this.#cluster = cluster
    const owner = {
      transactionalId: null,
      identity: () => identity,
      newIdentity: () => requestIdentity(cluster),
      enlist: async () => {},
      failed: () => {},
    } as const
    this.#sender = new BatchSender(produceWire(cluster, 'v9', null), owner, senderOptions(options))
  }

  /** Gets a producer id; retries while no broker is available, up to the operation deadline. */
  static async open(cluster: Cluster, options: ProducerOptions): Promise<KafkaProducer> {
    return new KafkaProducer(cluster, options, await requestIdentity(cluster))
  }

  async send(records: readonly OutgoingRecord[]): Promise<readonly ProducedBatch[]> {
    if (this.#closing !== undefined) throw new StreamsError('CLOSED', 'the producer is closed')
    return this.#sender.send(records)
  }

  close(): Promise<void> {
    this.#closing ??= this.#drain()
    return this.#closing
  }

  async #drain(): Promise<void> {
    await this.#sender.idle() // ends by the delivery timeout at the latest
    this.#sender.stop()
    await this.#cluster.close()
  }
}

/** A producer id of its own, from any broker. */
async function requestIdentity(cluster: Cluster): Promise<ProducerIdentity> {
  return cluster.retrying('getting a producer id', async () => {
    const call = initProducerIdV4.api.async(await cluster.any(), null, 0, -1n, -1)
    const { errorCode, producerId, producerEpoch } = await responseOf(call, 'getting a producer id')
    requireNone(errorCode, 'getting a producer id')
    return { id: Number(producerId), epoch: producerEpoch }
  })
}
