import type {
  CommittedOffset,
  GroupMetadata,
  ProducedBatch,
  Producer,
  TopicPartition,
  TransactionalProducer,
  TransactionalProducerOptions,
} from '../core/broker.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import { noHeaders, type OutgoingRecord, type OutgoingRecords } from '../core/record.ts'
import { encodeRecordBatch, noProducer } from '../core/record-batch.ts'
import type { FakeGroup } from './fake-group.ts'
import type { FakeLog } from './fake-log.ts'
import type { FakeTransactionalId } from './fake-transactions.ts'

/** What a fake producer needs of its broker. */
export interface FakeProducerWorld {
  nowMs(): number
  /** Throws `TOPIC_MISSING`. */
  writableLog(of: TopicPartition): FakeLog
  /** Throws `RECORD_TOO_LARGE`. */
  checkSize(record: OutgoingRecord): void
  group(groupId: string): FakeGroup
  transactionalId(name: string): FakeTransactionalId
  /** Throws what a test has asked for; see `FakeBroker.failNext`. */
  perform<T>(operation: 'send' | 'sendOffsets' | 'commit' | 'abort', action: () => T): Promise<T>
}

/** A `Producer` into logs in memory. Batches are stored without compression. */
export class FakeProducer implements Producer {
  readonly #world: FakeProducerWorld
  #closed = false

  constructor(world: FakeProducerWorld) {
    this.#world = world
  }

  async send(records: readonly OutgoingRecord[]): Promise<readonly ProducedBatch[]> {
    if (this.#closed) throw new StreamsError('CLOSED', 'the producer is closed')
    return this.#world.perform('send', () => appendAll(this.#world, records))
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}

/** A `TransactionalProducer` into logs in memory, fenced by epochs as in Kafka. */
export class FakeTransactionalProducer implements TransactionalProducer {
  readonly #world: FakeProducerWorld
  readonly #id: FakeTransactionalId
  readonly #epoch: number
  #dead: StreamsError | undefined
  #open = false
  #mustAbort = false

  constructor(world: FakeProducerWorld, options: TransactionalProducerOptions) {
    this.#world = world
    this.#id = world.transactionalId(options.transactionalId)
    this.#epoch = this.#id.init(options.transactionTimeoutMs ?? 60_000, world.nowMs())
  }

  send(records: OutgoingRecords): Promise<readonly ProducedBatch[]> {
    return this.#step('send', () => {
      this.#refuseAfterFailure()
      this.#open = true
      return appendAll(this.#world, records, this.#id)
    })
  }

  sendOffsets(group: GroupMetadata, offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void> {
    return this.#step('sendOffsets', () => {
      this.#refuseAfterFailure()
      this.#open = true
      this.#id.addOffsets(this.#world.group(group.groupId), group, offsets, this.#world.nowMs())
    })
  }

  commit(): Promise<void> {
    return this.#step('commit', () => {
      this.#refuseAfterFailure()
      this.#end('commit')
    })
  }

  abort(): Promise<void> {
    return this.#step('abort', () => this.#end('abort'))
  }

  async close(): Promise<void> {
    this.#dead ??= new StreamsError('CLOSED', 'the producer is closed')
  }

  #end(outcome: 'commit' | 'abort'): void {
    if (this.#open) this.#id.end(outcome, this.#world.nowMs())
    this.#open = false
    this.#mustAbort = false
  }

  #refuseAfterFailure(): void {
    if (this.#mustAbort) throw new StreamsError('INVALID_STATE', 'a step of this transaction has failed: abort it')
  }

  async #step<T>(operation: 'send' | 'sendOffsets' | 'commit' | 'abort', action: () => T): Promise<T> {
    if (this.#dead !== undefined) throw this.#dead
    try {
      return await this.#world.perform(operation, () => {
        this.#id.check(this.#epoch)
        return action()
      })
    } catch (error) {
      if (hasCode(error, 'FENCED', 'OUTCOME_UNKNOWN', 'TIMED_OUT', 'BROKER_UNAVAILABLE')) this.#dead = error
      else if (this.#open) this.#mustAbort = true
      throw error
    }
  }
}

/** Groups records by partition, in order, and appends one batch to each; all or nothing as far as the checks can tell. */
function appendAll(
  world: FakeProducerWorld,
  records: OutgoingRecords,
  transaction?: FakeTransactionalId,
): readonly ProducedBatch[] {
  const byLog = new Map<FakeLog, OutgoingRecord[]>()
  records.forEach(({ topic, partition, key, value, timestamp, headers = noHeaders }) => {
    const record = { topic, partition, key, value, timestamp, headers }
    const log = world.writableLog(record)
    world.checkSize(record)
    const batch = byLog.get(log)
    if (batch === undefined) byLog.set(log, [record])
    else batch.push(record)
  })
  const produced: ProducedBatch[] = []
  for (const [log, batch] of byLog) {
    const producer =
      transaction === undefined
        ? noProducer
        : { id: transaction.producerId, epoch: transaction.epoch, baseSequence: 0, transactional: true }
    transaction?.add(log, world.nowMs())
    const baseOffset = log.append(encodeRecordBatch(batch, { producer }), batch.length, transaction?.producerId)
    const { topic, partition } = batch[0] ?? { topic: '', partition: 0 }
    produced.push({ topic, partition, baseOffset, count: batch.length })
  }
  return produced
}
