import type {
  CommittedOffset,
  GroupMetadata,
  ProducedBatch,
  TopicPartition,
  TransactionalProducer,
  TransactionalProducerOptions,
} from '../core/broker.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import type { OutgoingRecords } from '../core/record.ts'
import { BatchSender } from './batch-sender.ts'
import type { Cluster } from './cluster.ts'
import type { ProducerIdentity } from './partition-queue.ts'
import { produceWire } from './produce-wire.ts'
import { senderOptions } from './producer.ts'
import { translate } from './protocol-error.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'

const transactionTimeoutDefaultMs = 60_000

/**
 * What a transaction is in.
 *
 *     ready ──send, sendOffsets──▶ open ──commit, abort──▶ ready
 *                                   │ a step failed, and it is known that it did not happen
 *                                   ▼
 *                                 broken ──abort──▶ ready
 *     any ──fenced, timed out, outcome unknown, close──▶ dead
 */
type TransactionState = 'ready' | 'open' | 'broken' | 'dead'

/** A transactional producer on the wire, one transaction at a time, which does not go on after an outcome it does not know. */
export class KafkaTransactionalProducer implements TransactionalProducer {
  readonly #cluster: Cluster
  readonly #coordinator: TransactionCoordinator
  readonly #sender: BatchSender
  readonly #timeoutMs: number
  #identity: ProducerIdentity
  #state: TransactionState = 'ready'
  /** Why it is broken or dead. */
  #failure: StreamsError | undefined
  /** True when something was sent to brokers, so that the coordinator may know of the transaction. */
  #isBegun = false
  #closing: Promise<void> | undefined

  private constructor(
    cluster: Cluster,
    coordinator: TransactionCoordinator,
    identity: ProducerIdentity,
    options: TransactionalProducerOptions,
  ) {
    this.#cluster = cluster
    this.#coordinator = coordinator
    this.#identity = identity
    this.#timeoutMs = options.transactionTimeoutMs ?? transactionTimeoutDefaultMs
    const owner = {
      transactionalId: options.transactionalId,
      identity: () => this.#identity,
      newIdentity: async () => this.#identity,
      enlist: async (partitions: readonly TopicPartition[]) => {
        if (!coordinator.isV2) await coordinator.addPartitions(this.#identity, partitions)
        this.#isBegun = true
      },
      failed: (error: StreamsError) => this.#break(error),
    } as const
    const wire = produceWire(cluster, coordinator.isV2 ? 'v12' : 'v9', options.transactionalId)
    this.#sender = new BatchSender(wire, owner, senderOptions(options))
  }

  /** Takes over the transactional id: fences its former producer and aborts what that left open. */
  static async open(cluster: Cluster, options: TransactionalProducerOptions): Promise<KafkaTransactionalProducer> {
    const coordinator = new TransactionCoordinator(cluster, options.transactionalId)
    const identity = await coordinator.init(options.transactionTimeoutMs ?? transactionTimeoutDefaultMs)
    return new KafkaTransactionalProducer(cluster, coordinator, identity, options)
  }

  async send(records: OutgoingRecords): Promise<readonly ProducedBatch[]> {
    this.#requireUsable()
    if (records.length === 0) return []
    this.#state = 'open'
    return this.#step(() => this.#sender.send(records))
  }

  async sendOffsets(group: GroupMetadata, offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void> {
    this.#requireUsable()
    if (offsets.length === 0) return
    this.#state = 'open'
    await this.#step(async () => {
      await this.#coordinator.addOffsets(this.#identity, group, offsets)
      this.#isBegun = true
    })
  }

  async commit(): Promise<void> {
    this.#requireUsable()
    if (this.#state === 'ready') return
    await this.#sender.idle()
    this.#requireUsable() // a send that was not awaited may have failed
    await this.#step(() => this.#end('commit'))
  }

  async abort(): Promise<void> {
    if (this.#state === 'dead') throw this.#dead()
    if (this.#state === 'ready') return
    this.#sender.abandon(new StreamsError('INVALID_STATE', 'the transaction was aborted'))
    await this.#sender.idle() // what is still on its way must not arrive after the abort
    await this.#step(() => this.#end('abort'))
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut()
    return this.#closing
  }

  async #shut(): Promise<void> {
    const error = new StreamsError('CLOSED', 'the producer is closed')
    this.#die(error)
    this.#sender.stop()
    await this.#cluster.close()
  }

  async #end(outcome: 'commit' | 'abort'): Promise<void> {
    const former = this.#identity
    if (this.#state === 'broken') this.#identity = await this.#coordinator.abortWhatThereIs(former)
    else if (this.#isBegun) this.#identity = await this.#coordinator.end(former, outcome)
    // Numbers of batches that were given up must not be used again: another epoch, unless the end has brought one.
    const isBumped = this.#identity.epoch !== former.epoch || this.#identity.id !== former.id
    if (this.#sender.hasGivenUp && !isBumped) this.#identity = await this.#coordinator.init(this.#timeoutMs, former)
    const isSame = this.#identity.epoch === former.epoch && this.#identity.id === former.id
    this.#sender.reset(isSame ? undefined : this.#identity)
    this.#isBegun = false
    this.#state = 'ready'
  }

  async #step<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action()
    } catch (error) {
      const failure = translate(error, 'the transaction')
      this.#break(failure)
      throw failure
    }
  }

  /** A refusal leaves the transaction to be aborted; whatever is not known for sure ends this producer. */
  #break(error: StreamsError): void {
    if (hasCode(error, 'FENCED', 'OUTCOME_UNKNOWN', 'TIMED_OUT', 'BROKER_UNAVAILABLE', 'CLOSED')) this.#die(error)
    else if (this.#state === 'open') {
      this.#state = 'broken'
      this.#failure = error
    }
  }

  #die(error: StreamsError): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#failure = error
    this.#sender.abandon(error)
  }

  #requireUsable(): void {
    if (this.#state === 'dead') throw this.#dead()
    if (this.#state === 'broken')
      throw new StreamsError('INVALID_STATE', 'a step of this transaction has failed: abort it', {
        cause: this.#failure,
      })
  }

  #dead(): StreamsError {
    const cause = this.#failure
    const code = hasCode(cause, 'FENCED', 'CLOSED') ? cause.code : 'OUTCOME_UNKNOWN'
    return new StreamsError(
      code,
      'this producer must not be used any more: open another one, and read the committed offsets again',
      { cause },
    )
  }
}
