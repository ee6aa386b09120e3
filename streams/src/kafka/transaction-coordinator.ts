import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  type Connection,
  createAPI,
  endTxnV3,
  initProducerIdV4,
  type Reader,
  txnOffsetCommitV3,
} from '@platformatic/kafka'
import type { CommittedOffset, GroupMetadata, TopicPartition } from '../core/broker.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import type { Cluster } from './cluster.ts'
import { kafkaLimits } from './limits.ts'
import { offsetTopics } from './offset-topics.ts'
import type { ProducerIdentity } from './partition-queue.ts'
import { errorCode, isPassing, refusal, requireNone, responseOf, translate } from './protocol-error.ts'
import { pause } from './retry.ts'

interface EndTxnResponse {
  readonly errorCode: number
  readonly identity: ProducerIdentity
}

/** EndTxn v5: the answer brings the identity of the next transaction (KIP-890). */
const endTxnV5 = createAPI<Parameters<typeof endTxnV3.createRequest>, EndTxnResponse>(
  26,
  5,
  endTxnV3.createRequest,
  (_id, _key, _version, reader: Reader) => {
    reader.readInt32()
    return { errorCode: reader.readInt16(), identity: { id: Number(reader.readInt64()), epoch: reader.readInt16() } }
  },
)

/** TxnOffsetCommit v5: adds the group to the transaction by itself (KIP-890); the bytes are those of v3. */
const txnOffsetCommitV5 = createAPI<
  Parameters<typeof txnOffsetCommitV3.createRequest>,
  txnOffsetCommitV3.TxnOffsetCommitResponse
>(28, 5, txnOffsetCommitV3.createRequest, txnOffsetCommitV3.parseResponse)

/** Codes that mean: this producer is not the current one of its transactional id, or its transaction was ended for it. */
const deposed: ReadonlySet<number> = new Set([
  errorCode.producerFenced,
  errorCode.invalidProducerEpoch,
  errorCode.invalidProducerIdMapping,
  errorCode.invalidTxnState,
])

/**
 * The requests of one transactional id to its coordinator. An answer that names a passing state is waited out, up to the operation deadline;
 * a request without an answer throws `OUTCOME_UNKNOWN` and is never sent again: it may reach the coordinator later, in another transaction.
 */
export class TransactionCoordinator {
  readonly #cluster: Cluster
  readonly #transactionalId: string
  #nodeId: number | undefined
  #groupNodeIds = new Map<string, number>()
  /** True when every transaction has an epoch of its own, and partitions and groups are added to it by the brokers. */
  isV2 = false

  constructor(cluster: Cluster, transactionalId: string) {
    this.#cluster = cluster
    this.#transactionalId = transactionalId
  }

  /**
   * Raises the epoch, which fences former producers and aborts what they left open. `former` keeps the producer id of a producer that is
   * its own predecessor. Repeated when the connection is lost: the worst that happens is one more epoch.
   */
  async init(timeoutMs: number, former?: ProducerIdentity): Promise<ProducerIdentity> {
    const what = `opening transactional id ${this.#transactionalId}`
    return this.#cluster.retrying(what, async () => {
      this.#nodeId ??= await this.#cluster.findCoordinator('transaction', this.#transactionalId)
      try {
        if (former === undefined) this.isV2 = await this.#cluster.hasTransactionsV2(this.#nodeId)
        const connection = await this.#cluster.connection(this.#nodeId, 'control')
        const call = initProducerIdV4.api.async(
          connection,
          this.#transactionalId,
          timeoutMs,
          BigInt(former?.id ?? -1),
          former?.epoch ?? -1,
        )
        const response = await responseOf(call, what)
        if (response.errorCode === errorCode.concurrentTransactions) throw stillEnding(this.#transactionalId)
        requireAllowed(response.errorCode, what)
        return { id: Number(response.producerId), epoch: response.producerEpoch }
      } catch (error) {
        if (!hasCode(error, 'BROKER_UNAVAILABLE')) throw error
        this.#nodeId = undefined
        throw error
      }
    })
  }

  /** Adds partitions to the open transaction, before anything is sent to them. */
  async addPartitions(identity: ProducerIdentity, partitions: readonly TopicPartition[]): Promise<void> {
    const topics = [...new Set(partitions.map(({ topic }) => topic))].map((name) => ({
      name,
      partitions: partitions.filter(({ topic }) => topic === name).map(({ partition }) => partition),
    }))
    await this.#ask('adding partitions to the transaction', async (connection, what) => {
      const transaction = {
        transactionalId: this.#transactionalId,
        producerId: BigInt(identity.id),
        producerEpoch: identity.epoch,
        verifyOnly: false,
        topics,
      }
      const call = addPartitionsToTxnV3.api.async(connection, [transaction])
      const { resultsByTransaction } = await responseOf(call, what)
      const codes = resultsByTransaction.flatMap(({ topicResults }) =>
        topicResults.flatMap(({ resultsByPartition }) => resultsByPartition.map((result) => result.partitionErrorCode)),
      )
      return codes.find((code) => code !== errorCode.none && code !== errorCode.operationNotAttempted) ?? errorCode.none
    })
  }

  /** Adds offsets to the open transaction. Throws `REBALANCED` for a generation or a member that is not the group's. */
  async addOffsets(
    identity: ProducerIdentity,
    group: GroupMetadata,
    offsets: readonly (TopicPartition & CommittedOffset)[],
  ): Promise<void> {
    if (!this.isV2) {
      await this.#ask('adding offsets to the transaction', async (connection, what) => {
        const call = addOffsetsToTxnV3.api.async(
          connection,
          this.#transactionalId,
          BigInt(identity.id),
          identity.epoch,
          group.groupId,
        )
        return (await responseOf(call, what)).errorCode
      })
    }
    const topics = offsetTopics(offsets)
    const api = this.isV2 ? txnOffsetCommitV5 : txnOffsetCommitV3.api
    await this.#ask(
      `committing offsets of group ${group.groupId}`,
      async (connection, what) => {
        const { groupId, generationId, memberId, groupInstanceId } = group
        const call = api.async(
          connection,
          this.#transactionalId,
          groupId,
          BigInt(identity.id),
          identity.epoch,
          generationId,
          memberId,
          groupInstanceId,
          topics,
        )
        const response = await responseOf(call, what)
        return (
          response.topics
            .flatMap(({ partitions }) => partitions.map((partition) => partition.errorCode))
            .find((code) => code !== errorCode.none) ?? errorCode.none
        )
      },
      group.groupId,
    )
  }

  /** Ends the transaction; the decision is final once this resolves. Returns the identity of the next one. */
  async end(identity: ProducerIdentity, outcome: 'commit' | 'abort'): Promise<ProducerIdentity> {
    let next = identity
    const what = `ending the transaction (${outcome})`
    await this.#ask(what, async (connection) => {
      const answer = await this.#endOnce(connection, identity, outcome, what)
      next = answer.identity
      return answer.errorCode
    })
    return next
  }

  /** Aborts a transaction of which it is not clear whether the coordinator knows it: a refused step may have been the first. */
  async abortWhatThereIs(identity: ProducerIdentity): Promise<ProducerIdentity> {
    let next = identity
    const what = 'aborting the transaction'
    await this.#ask(what, async (connection) => {
      const answer = await this.#endOnce(connection, identity, 'abort', what)
      next = answer.identity
      return answer.errorCode === errorCode.invalidTxnState ? errorCode.none : answer.errorCode
    })
    return next
  }

  async #endOnce(
    connection: Connection,
    identity: ProducerIdentity,
    outcome: 'commit' | 'abort',
    what: string,
  ): Promise<EndTxnResponse> {
    const request = [
      connection,
      this.#transactionalId,
      BigInt(identity.id),
      identity.epoch,
      outcome === 'commit',
    ] as const
    if (!this.isV2) return { errorCode: (await responseOf(endTxnV3.api.async(...request), what)).errorCode, identity }
    const response = await responseOf(endTxnV5.async(...request), what)
    return response.errorCode === errorCode.none ? response : { errorCode: response.errorCode, identity }
  }

  /**
   * Sends a request to the coordinator, of this transactional id or of a group, until its answer is not a passing one. `request` returns the
   * answer's error code.
   */
  async #ask(
    what: string,
    request: (connection: Connection, what: string) => Promise<number>,
    groupId?: string,
  ): Promise<void> {
    const deadlineMs = performance.now() + kafkaLimits.operationDeadlineMs
    for (;;) {
      const code = await this.#askOnce(what, request, groupId)
      if (code === errorCode.none) return
      if (!isPassing(code) && code !== errorCode.concurrentTransactions) throw decided(code, what)
      if (performance.now() > deadlineMs)
        throw new StreamsError('TIMED_OUT', `${what}: ${refusal(code, 'still').message}`)
      if (code !== errorCode.concurrentTransactions) this.#forgetCoordinator(groupId)
      await pause(kafkaLimits.concurrentTransactionsBackoffMs, this.#cluster.signal)
    }
  }

  async #askOnce(
    what: string,
    request: (connection: Connection, what: string) => Promise<number>,
    groupId?: string,
  ): Promise<number> {
    const connection = await this.#cluster.retrying(what, async () => {
      try {
        return await this.#cluster.connection(await this.#coordinatorOf(groupId), 'control')
      } catch (error) {
        this.#forgetCoordinator(groupId)
        throw error
      }
    })
    try {
      return await request(connection, what)
    } catch (error) {
      const failure = translate(error, what)
      if (failure.code !== 'BROKER_UNAVAILABLE') throw failure
      throw new StreamsError(
        'OUTCOME_UNKNOWN',
        `${what}: no answer, so nobody knows whether it was done: ${failure.message}`,
        { cause: failure },
      )
    }
  }

  async #coordinatorOf(groupId: string | undefined): Promise<number> {
    if (groupId === undefined) {
      this.#nodeId ??= await this.#cluster.findCoordinator('transaction', this.#transactionalId)
      return this.#nodeId
    }
    const known = this.#groupNodeIds.get(groupId)
    if (known !== undefined) return known
    const found = await this.#cluster.findCoordinator('group', groupId)
    this.#groupNodeIds.set(groupId, found)
    return found
  }

  #forgetCoordinator(groupId: string | undefined): void {
    if (groupId === undefined) this.#nodeId = undefined
    else this.#groupNodeIds.delete(groupId)
  }
}

function stillEnding(transactionalId: string): StreamsError {
  return new StreamsError('BROKER_UNAVAILABLE', `the former transaction of ${transactionalId} is still being ended`)
}

function requireAllowed(code: number, what: string): void {
  if (deposed.has(code)) throw decided(code, what)
  requireNone(code, what)
}

function decided(code: number, what: string): StreamsError {
  if (!deposed.has(code)) return refusal(code, what)
  const text = `${what}: another producer has this transactional id, or the transaction was open for longer than its timeout`
  return new StreamsError('FENCED', text, { cause: refusal(code, what) })
}
