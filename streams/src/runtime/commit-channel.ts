import type {
  Broker,
  CommittedOffset,
  GroupMember,
  GroupMetadata,
  ProducedBatch,
  TopicPartition,
} from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { unpacked } from '../core/packed-records.ts'
import type { OutgoingRecords } from '../core/record.ts'
import { abortMsMax } from './limits.ts'
import { within } from './within.ts'

/** What a commit means. Under `at_least_once` records may be processed again after a crash; under `exactly_once` never, for readers under read_committed. */
export const guarantees = ['exactly_once', 'at_least_once'] as const
export type Guarantee = (typeof guarantees)[number]

/**
 * Where a thread sends, and how what it sent becomes final together with its offsets. After a method has thrown, only `close` may be called:
 * what was sent is then aborted, or (at least once) stays and is sent again.
 *
 * Within a transaction, the first `send` takes a place in the group's generation, as long as no join is under way, and `addOffsets` gives it back: the
 * next join waits for it, up to its bound, in place of the open transaction for the join, which may take longer than the transaction may.
 */
export interface CommitChannel {
  /** Sends within the open transaction; opens it when there is none. */
  send(records: OutgoingRecords): Promise<readonly ProducedBatch[]>
  /** Something was sent, or offsets were added, since the last `commit`. */
  readonly dirty: boolean
  /** The group's next join waits until what was sent is committed. */
  readonly isHolding: boolean
  addOffsets(offsets: readonly Offset[]): Promise<void>
  commit(): Promise<void>
  /** Gives up what is not committed, and ends a wait of `addOffsets` for the group with `CLOSED`. Idempotent. */
  close(): Promise<void>
}

type Offset = TopicPartition & CommittedOffset

/** How a channel is opened. */
export interface CommitChannelOptions {
  readonly broker: Broker
  /** Whose offsets are committed; the channel is closed before it is. */
  readonly member: GroupMember
  readonly guarantee: Guarantee
  readonly clientId: string
  /** Of this thread alone, and the same after a restart: opening aborts what a former incarnation left open. */
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
}

/** Opens the channel of a thread. */
export async function openCommitChannel(options: CommitChannelOptions): Promise<CommitChannel> {
  const { broker, member, clientId, transactionalId, transactionTimeoutMs } = options
  if (options.guarantee === 'at_least_once') return new PlainChannel(await broker.openProducer({ clientId }), member)
  return new TransactionChannel(
    await broker.openTransactionalProducer({ clientId, transactionalId, transactionTimeoutMs }),
    member,
  )
}

class TransactionChannel implements CommitChannel {
  readonly #producer: Awaited<ReturnType<Broker['openTransactionalProducer']>>
  readonly #member: GroupMember
  readonly #wait = new EndableWait()
  dirty = false
  #place: GenerationPlace | undefined
  #isClosed = false
  /** A request is on its way that must not meet an abort. What became of it without an answer the producer knows: it then refuses to abort. */
  #isDeciding = false

  constructor(producer: Awaited<ReturnType<Broker['openTransactionalProducer']>>, member: GroupMember) {
    this.#producer = producer
    this.#member = member
  }

  get isHolding(): boolean {
    return this.#place !== undefined
  }

  async send(records: OutgoingRecords): Promise<readonly ProducedBatch[]> {
    this.#requireOpen()
    this.dirty = true
    // During a join there is no place, and the processing must not wait for one: `addOffsets` does.
    if (!this.#member.isJoining) this.#place ??= takePlace(this.#member)
    return this.#producer.send(records)
  }

  addOffsets(offsets: readonly Offset[]): Promise<void> {
    this.dirty = true
    this.#place ??= takePlace(this.#member)
    return this.#wait.for(this.#sendOffsets(this.#place, offsets))
  }

  async commit(): Promise<void> {
    this.#requireOpen()
    await this.#decide(this.#producer.commit())
    this.#leavePlace()
    this.dirty = false
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#wait.end()
    this.#leavePlace()
    if (this.dirty && !this.#isDeciding) await this.#abort()
    await this.#producer.close()
  }

  /** With the generation of the first send: when that is over in spite of all, what was done in it is refused. */
  async #sendOffsets(place: GenerationPlace, offsets: readonly Offset[]): Promise<void> {
    const group = await place.taken
    this.#requireOpen()
    await this.#decide(this.#producer.sendOffsets(group, offsets))
    this.#leavePlace()
  }

  #leavePlace(): void {
    this.#place?.leave()
    this.#place = undefined
  }

  async #decide(request: Promise<void>): Promise<void> {
    this.#isDeciding = true
    try {
      await request
    } finally {
      this.#isDeciding = false
    }
  }

  /** As far as that goes quickly: until the broker does it by itself, readers of committed records wait, and so do those who take our tasks over. */
  async #abort(): Promise<void> {
    await within(abortMsMax, this.#producer.abort(), 'aborting the transaction').catch(() => undefined)
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new StreamsError('CLOSED', 'what was to be committed was given up')
  }
}

class PlainChannel implements CommitChannel {
  readonly #producer: Awaited<ReturnType<Broker['openProducer']>>
  readonly #member: GroupMember
  readonly #wait = new EndableWait()
  dirty = false
  /** Nothing is open that a join could outlast. */
  readonly isHolding = false

  constructor(producer: Awaited<ReturnType<Broker['openProducer']>>, member: GroupMember) {
    this.#producer = producer
    this.#member = member
  }

  send(records: OutgoingRecords): Promise<readonly ProducedBatch[]> {
    this.dirty = true
    return this.#producer.send(unpacked(records))
  }

  addOffsets(offsets: readonly Offset[]): Promise<void> {
    return this.#wait.for(this.#member.commit(offsets))
  }

  async commit(): Promise<void> {
    this.dirty = false
  }

  close(): Promise<void> {
    this.#wait.end()
    return this.#producer.close()
  }
}

/** A place in the group's generation, for which its next join waits. */
interface GenerationPlace {
  /** At once, unless a join is under way. Rejects when there is no generation to be had. */
  readonly taken: Promise<GroupMetadata>
  /** Idempotent; also before it is taken. */
  leave(): void
}

function takePlace(member: GroupMember): GenerationPlace {
  const taken = Promise.withResolvers<GroupMetadata>()
  const left = Promise.withResolvers<void>()
  member
    .inGeneration((group) => {
      taken.resolve(group)
      return left.promise
    })
    .catch(taken.reject)
  taken.promise.catch(() => undefined) // it is looked at when there are offsets; until then it must not count as unhandled
  return { taken: taken.promise, leave: left.resolve }
}

/**
 * A wait for the group, which may take as long as its slowest member, and which whoever closes the channel does not share. What was waited for goes
 * on: a closed producer refuses it, and offsets of records that were acknowledged may still be committed.
 */
class EndableWait {
  #end: ((error: StreamsError) => void) | undefined

  async for(work: Promise<void>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#end = reject
    work.then(resolve, reject)
    try {
      await promise
    } finally {
      this.#end = undefined
    }
  }

  end(): void {
    this.#end?.(new StreamsError('CLOSED', 'the commit was given up while it waited for the group'))
  }
}
