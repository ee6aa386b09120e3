import type { BatchCodec } from './compression.ts'
import type { Logger } from './logger.ts'
import type { OutgoingRecord, OutgoingRecords } from './record.ts'

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A transaction that was aborted, as a fetch response names it under read_committed. */
export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

/**
 * What one fetch brought of one partition: whole record batches, still in Kafka's format (magic 2), possibly compressed, possibly with
 * records before the asked offset, control batches and aborted batches. `RecordCursor` (core/record-cursor.ts) reads it.
 * The receiver owns `bytes`: a task keeps them until their records are processed.
 */
export interface FetchedBatches extends TopicPartition {
  /** The offset that was asked for: records before it are to be skipped. */
  readonly fetchOffset: number
  readonly bytes: Buffer
  readonly highWatermark: number
  /** Records from here on belong to open transactions; equals `highWatermark` when there are none. */
  readonly lastStableOffset: number
  /** In the order of `firstOffset`; empty under `uncommitted`. */
  readonly abortedTransactions: readonly AbortedTransaction[]
  /** Records from here on are not to be read; all are when it is absent (`boundedBroker`). */
  readonly endOffset?: number
  /** How to check and inflate the batches; `RecordCursor` takes Node's own means without it. */
  readonly codec?: BatchCodec
}

/**
 * Reads assigned partitions as raw record batches. One owner, no concurrency: never call `poll` while a poll is pending.
 */
export interface Fetcher {
  /** Replaces the partitions to read and the offsets to read from. Takes effect at the next poll. */
  assign(positions: readonly (TopicPartition & { readonly offset: number })[]): void
  /** Adds one partition, or moves it to another offset. */
  seek(position: TopicPartition & { readonly offset: number }): void
  /** Stops reading these partitions; what was prefetched of them is dropped. */
  remove(partitions: readonly TopicPartition[]): void
  /** Keeps the partition assigned, but asks nothing of it until `resume`: this is the back pressure. */
  pause(partition: TopicPartition): void
  resume(partition: TopicPartition): void
  /**
   * Waits at most `maxWaitMs` for data and returns what came, per partition in offset order; empty when nothing came.
   * Positions move on by themselves, past control batches too: `position` tells.
   * What was fetched is returned before an error is thrown; that of a partition by the next poll, whatever the others bring. Throws `OFFSET_OUT_OF_RANGE` (with topic, partition and offset) and `TOPIC_MISSING`
   * (also when the topic was deleted and created again), each time until the partition is moved or removed; `BROKER_UNAVAILABLE` when a
   * partition's leader is away for 30 s, after which polling goes on.
   */
  poll(maxWaitMs: number): Promise<readonly FetchedBatches[]>
  /** The next offset to be returned by `poll` for this partition; undefined when it is not assigned. */
  position(partition: TopicPartition): number | undefined
  /** Ends a pending poll with an empty result; idempotent. */
  close(): Promise<void>
}

/** A committed offset with the text that was committed beside it. */
export interface CommittedOffset {
  /** The next offset to read. */
  readonly offset: number
  /** At most 4,096 bytes (the broker's `offset.metadata.max.bytes`); '' when there is none. */
  readonly metadata: string
}

/** Who we are in the group, for fencing (KIP-447). */
export interface GroupMetadata {
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly groupInstanceId: string | null
}

/** What a member tells the leader at every join; small, as it travels in each JoinGroup request. */
export interface MemberReport {
  /** Where others ask this member for its rows (`http://host:port`); null when it answers nobody. */
  readonly endpoint: string | null
  /**
   * Partition numbers whose state this member has on disk or keeps warm, those it processes included, with how many changelog records it
   * lacks (all stores of that number added up). A number that is missing here is one without state, or one to be restored from the start.
   */
  readonly warm: readonly { readonly number: number; readonly lag: number }[]
}

/** One member of a group, as its leader divided it. */
export interface GroupViewMember {
  /** A static member that came back has another one than the view says, until the next generation: find it by its instance id. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly endpoint: string | null
  /** Partitions it processes. */
  readonly partitions: readonly TopicPartition[]
  /** Partition numbers it keeps warm for others. */
  readonly standbys: readonly number[]
}

/**
 * The group as its leader divided it: the same for every member of a generation. Partitions that are on their way from one member to another
 * are with neither. In a group so large that the division would not fit into the broker's record, it holds the member itself alone.
 */
export interface GroupView {
  readonly generationId: number
  readonly members: readonly GroupViewMember[]
}

/** What a member learns beside its partitions. */
export interface GroupAssignment {
  readonly view: GroupView
  /** The complete list of partition numbers that this member shall keep warm, those that it is to take over later included. */
  readonly standbys: readonly number[]
}

/**
 * What a group tells its member, one call at a time. Handlers are awaited before the rebalance goes on, up to the rebalance timeout; heartbeats
 * go on meanwhile. A handler that throws ends the membership: the member leaves and `failed` resolves with the error.
 *
 * Under `cooperative` a generation calls `onRevoked` with what is to be given up, if anything, then `onAssigned` with what is new, which may be
 * nothing; everything else stays and is processed on, also while the group rebalances.
 */
export interface GroupListener {
  /**
   * Partitions that are ours from now on, beside those we have; under the eager protocol, which has taken everything back before, that is all
   * of them. Called once in every generation, also when nothing is new.
   */
  onAssigned(partitions: readonly TopicPartition[], group: GroupAssignment): Promise<void>
  /** Partitions to be given up: still ours, commit now. Not called when there are none. */
  onRevoked(partitions: readonly TopicPartition[]): Promise<void>
  /** Partitions that were taken away: not ours any more, nothing may be committed. Not called when there are none. */
  onLost(partitions: readonly TopicPartition[]): Promise<void>
}

/** Membership in a consumer group (classic protocol), without fetching. */
export interface GroupMember {
  /**
   * Joins and keeps heartbeating. Resolves after the first assignment was handled by the listener. While the coordinator is away later, the
   * member keeps its partitions and tries again without end: only the coordinator can tell whether they are still its own, and it refuses
   * commits if they are not. Throws `TOPIC_MISSING`, `BROKER_UNAVAILABLE`, `INVALID_STATE` when called twice, `INVALID_CONFIG` when the group's
   * members divide it by another protocol.
   */
  join(topics: readonly string[], listener: GroupListener): Promise<void>
  /** The generation that was joined last; undefined before the first. To commit with it, use `inGeneration`. */
  metadata(): GroupMetadata | undefined
  /**
   * Runs `commit`, which adds offsets to a transaction, with the generation that the coordinator accepts. As soon as all members have joined,
   * the coordinator refuses the former generation, and a member learns of the new one a moment later. Under `cooperative`, where work goes on
   * meanwhile, `commit` therefore waits for a join that is under way, and the next join waits for `commit`, so that neither meets the
   * other half-way. Process on beside it; what is waited for takes about as long as the slowest member's next heartbeat, half a second.
   * Under `eager` nothing waits: offsets are committed before `onRevoked` resolves, or not at all.
   *
   * Throws `REBALANCED` when the member was expelled, has not joined yet, or when a join takes longer than the rebalance timeout; else what
   * `commit` throws. Never wait for it in `onLost`.
   */
  inGeneration<T>(commit: (group: GroupMetadata) => Promise<T>): Promise<T>
  /** A join is under way, for which `inGeneration` would wait: a transaction had better not begin before it is over. */
  readonly isJoining: boolean
  /** Committed offsets; partitions without one are absent. Waits while transactions on them are pending. */
  committed(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, CommittedOffset>>
  /** Commits outside a transaction, as `inGeneration` does. Throws `REBALANCED` when this member or generation is no longer the group's. */
  commit(offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void>
  /** Asks the leader for another division, because this member's report has changed: a standby has caught up, so that a number may move. */
  rejoin(): void
  /** The first fatal error: fenced by another member with the same instance id, not authorised, a handler that threw. Resolves never otherwise. */
  readonly failed: Promise<Error>
  /** Closes connections; calls no handler, so commit before. Idempotent: the first call decides. */
  close(options?: CloseOptions): Promise<void>
}

/** How a member goes. */
export interface CloseOptions {
  /**
   * Leaves the group, so that others get its partitions at once. Default for members without an instance id; a static member stays unless
   * told to leave, and gets its partitions back when it returns within the session timeout.
   */
  readonly leave?: boolean
}

/** The key that `committed` uses. */
export function partitionKey(of: TopicPartition): string {
  return `${of.topic}-${of.partition}`
}

/** What is in `these` and not in `those`. */
export function partitionsWithout(
  these: readonly TopicPartition[],
  those: readonly TopicPartition[],
): readonly TopicPartition[] {
  const keys = new Set(those.map(partitionKey))
  return these.filter((partition) => !keys.has(partitionKey(partition)))
}

/** Where consecutive records of one call landed in one partition. */
export interface ProducedBatch extends TopicPartition {
  /** −1 when the broker knew the batch from an earlier attempt, but not its offset any more. */
  readonly baseOffset: number
  readonly count: number
}

/** An idempotent producer, acks=all. */
export interface Producer {
  /**
   * Sends records; those of one partition keep their order, also across calls. Resolves when all are acknowledged by all in-sync replicas.
   * Throws `RECORD_TOO_LARGE` (none of the call is sent), `BROKER_UNAVAILABLE` (the records may still appear once; the message says when they
   * will not), `TOPIC_MISSING`, `BROKER_REFUSED`. Waits for room while too much is unacknowledged.
   *
   * Records that carry times older than a day are only sent at least once: a broker that is started again has forgotten their producer
   * (`producer.id.expiration.ms` goes by the records' times), and appends a repeated batch a second time. Transactions are not concerned.
   */
  send(records: readonly OutgoingRecord[]): Promise<readonly ProducedBatch[]>
  /** Waits for what is in flight, then closes; idempotent. */
  close(): Promise<void>
}

/**
 * A transactional producer (exactly-once v2). One transaction at a time; a transaction begins by itself with the first send.
 * When a step is refused (`RECORD_TOO_LARGE`, `TOPIC_MISSING`, `BROKER_REFUSED`, `REBALANCED`), the transaction can only be aborted: everything
 * else throws `INVALID_STATE` until then.
 * After `FENCED` or `OUTCOME_UNKNOWN`, and after any timeout, the instance refuses everything but `close`: open another one, which
 * raises the epoch and so aborts what was open, and read the committed offsets again (Jepsen's torn transactions of Bufstream 0.1.0).
 */
export interface TransactionalProducer {
  /** As `Producer.send`, within the transaction. Nobody may change the records before it resolves. */
  send(records: OutgoingRecords): Promise<readonly ProducedBatch[]>
  /** Adds consumed offsets to the transaction, with the group's metadata: a member of an older generation is refused with `REBALANCED`. */
  sendOffsets(group: GroupMetadata, offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void>
  /**
   * Waits for the sends, and commits when a transaction is open, else does nothing. Resolved means decided for good; readers under `committed`
   * see it a moment later, when the markers are written, and `GroupMember.committed` waits for that.
   */
  commit(): Promise<void>
  /** Aborts when a transaction is open. */
  abort(): Promise<void>
  /** Closes without ending an open transaction: the next epoch, or the transaction timeout, aborts it. Idempotent. */
  close(): Promise<void>
}

/** What is known of a topic. */
export interface TopicDescription {
  readonly name: string
  readonly partitions: number
  readonly config: ReadonlyMap<string, string>
}

/** A topic to be created. */
export interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  readonly config: Readonly<Record<string, string>>
}

/**
 * Which offset of a partition to list. `earliest`: log start; `latest`: high watermark; `latestCommitted`: last stable offset; with a time in UNIX milliseconds, the first
 * record that has it or a later one, whatever comes behind it.
 */
export type ListedOffset = 'earliest' | 'latest' | 'latestCommitted' | { readonly timeMs: number }

/** Topic administration and offsets. */
export interface Admin {
  /** Creates the topics that do not exist; returns the names of those it created, after their metadata is known to the cluster. */
  createTopics(topics: readonly NewTopic[]): Promise<readonly string[]>
  /** Topics that exist, by name; missing ones are absent. */
  describeTopics(names: readonly string[]): Promise<ReadonlyMap<string, TopicDescription>>
  /** Offsets by `partitionKey`. A partition that has no record of the time or a later one is absent. */
  listOffsets(partitions: readonly TopicPartition[], at: ListedOffset): Promise<ReadonlyMap<string, number>>
  deleteTopics(names: readonly string[]): Promise<void>
  /** Deletes each partition's records before `offset`; what is deleted already does not matter. Throws `TOPIC_MISSING`, `OFFSET_OUT_OF_RANGE` for an offset beyond the end. */
  deleteRecords(before: readonly (TopicPartition & { readonly offset: number })[]): Promise<void>
  close(): Promise<void>
}

/** Everything the engine, the sinks and the gateway need of Kafka. One implementation talks to Kafka, one is the test double. */
export interface Broker {
  openFetcher(options: FetcherOptions): Promise<Fetcher>
  openGroupMember(options: GroupMemberOptions): Promise<GroupMember>
  openProducer(options: ProducerOptions): Promise<Producer>
  openTransactionalProducer(options: TransactionalProducerOptions): Promise<TransactionalProducer>
  openAdmin(): Promise<Admin>
}

/** How to read. */
export interface FetcherOptions {
  readonly clientId: string
  /** `committed` (the default): neither open nor aborted transactions are returned to the cursor's user. */
  readonly isolation?: 'committed' | 'uncommitted'
  /** Bytes of one partition per fetch. Default 1 MiB. */
  readonly partitionBytesMax?: number
  /** Bytes of one fetch response. Default 16 MiB. */
  readonly fetchBytesMax?: number
}

/** How to be a member. */
export interface GroupMemberOptions {
  readonly clientId: string
  readonly groupId: string
  /** Static membership (KIP-345). */
  readonly groupInstanceId?: string
  /** Default 10,000. */
  readonly sessionTimeoutMs?: number
  /** Default 60,000. */
  readonly rebalanceTimeoutMs?: number
  /** `same-number`: partition p of every topic to the same member, as co-partitioned tasks need it. Default `spread`. */
  readonly assignment?: 'same-number' | 'spread'
  /**
   * `eager`, the default: at a rebalance everything is taken back and divided anew. `cooperative` (KIP-429): partitions that stay are processed
   * on; those that move are revoked in one generation and assigned in the next. All members of a group must say the same, so a
   * group changes its protocol only while nobody is in it.
   */
  readonly rebalance?: 'eager' | 'cooperative'
  /** How many members beside the owner keep each partition number warm; what the group's leader says holds. `same-number` only. Default 0. */
  readonly standbys?: number
  /** Asked at every join. A member without it keeps nothing warm, and gets partitions at once. */
  readonly report?: () => MemberReport
  /** Told what the group cannot do; silent by default. */
  readonly logger?: Logger
}

/** How to write. */
export interface ProducerOptions {
  readonly clientId: string
  /** Default `none`. */
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** A send that is not acknowledged after this long fails with `BROKER_UNAVAILABLE`. Default 30,000. */
  readonly deliveryTimeoutMs?: number
  /** The largest record batch, before compression, and so the largest record. Default 1 MiB, as the broker's `message.max.bytes`. */
  readonly batchBytesMax?: number
}

/** How to write in transactions. */
export interface TransactionalProducerOptions extends ProducerOptions {
  readonly transactionalId: string
  /** The broker aborts a transaction that is open for longer. Default 60,000. */
  readonly transactionTimeoutMs?: number
}
