import { type ProducedBatch, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { Compression } from '../core/compression.ts'
import { StreamsError } from '../core/errors.ts'
import { keyBytes, type OutgoingRecord, type OutgoingRecords, valueBytes } from '../core/record.ts'
import { soloBatchBytes } from '../core/record-batch.ts'
import { batchCodec } from './batch-codec.ts'
import { kafkaLimits } from './limits.ts'
import {
  type BatchSeal,
  type OutgoingBatch,
  PartitionQueue,
  PendingSend,
  type ProducerIdentity,
} from './partition-queue.ts'
import { errorCode, isPassing, refusal, translate } from './protocol-error.ts'
import type { ProduceEntry, ProduceResult } from './raw-produce.ts'
import { backoffMs, pause } from './retry.ts'

/** What differs between an idempotent and a transactional producer. */
export interface SenderOwner {
  /** Null for an idempotent producer. */
  readonly transactionalId: string | null
  /** The identity of partitions that are new. */
  identity(): ProducerIdentity
  /** Another identity, for a partition whose sequence is broken. Only asked of idempotent producers. */
  newIdentity(): Promise<ProducerIdentity>
  /** Called before anything is sent to partitions for the first time since `reset`; transactions enlist them here. */
  enlist(partitions: readonly PartitionQueue[]): Promise<void>
  /** A transactional producer's batch has failed, and everything unacknowledged was rejected with this. */
  failed(error: StreamsError): void
}

/** What a sender needs of the cluster. */
export interface SenderWire {
  readonly signal: AbortSignal
  readonly random: () => number
  /** As far as is known; undefined when there is none at the moment. */
  leaderOf(partition: TopicPartition): number | undefined
  exists(partition: TopicPartition): boolean
  /** Asks again who leads what. */
  refresh(topics: readonly string[]): Promise<unknown>
  /** A way to send one request to a leader. When this throws, nothing was sent; when the request throws, nobody knows whether it was done. */
  connect(leader: number): Promise<(entries: readonly ProduceEntry[]) => Promise<readonly ProduceResult[]>>
}

/** How a sender works. */
export interface SenderOptions {
  readonly compression: Compression
  readonly deliveryTimeoutMs: number
  /** The largest batch, before compression. */
  readonly batchBytesMax: number
}

/** A record that waits for its answer, or for room. */
interface Admission {
  readonly records: OutgoingRecords
  readonly send: PendingSend
}

/** A batch in a request. */
interface Sent {
  readonly queue: PartitionQueue
  readonly batch: OutgoingBatch
}

/** Refusals of a batch that the leader has appended: only its replicas have not. */
const afterAppend: ReadonlySet<number> = new Set([errorCode.requestTimedOut, errorCode.notEnoughReplicasAfterAppend])

/**
 * Brings records to their partitions' leaders: batches by partition, several requests in flight per broker, in order per partition, each
 * batch repeated with the same sequence number until it is acknowledged or its delivery timeout is over. Records that come while the
 * requests in flight are at their bound join the batch that waits, so that batches grow with the load and nothing lingers without it.
 */
export class BatchSender {
  readonly #wire: SenderWire
  readonly #owner: SenderOwner
  readonly #options: SenderOptions
  readonly #seal: BatchSeal
  readonly #queues = new Map<string, Map<number, PartitionQueue>>()
  /** Queues with anything unacknowledged. */
  readonly #active = new Set<PartitionQueue>()
  readonly #enlisted = new Set<PartitionQueue>()
  /** Queues that wait for another identity. */
  readonly #replacing = new Set<PartitionQueue>()
  readonly #inFlight = new Map<number, number>()
  readonly #waiting: Admission[] = []
  readonly #missingSinceMs = new Map<string, number>()
  #bytes = 0
  #requests = 0
  #pumpScheduled = false
  #enlisting = false
  #refreshing = false
  #refreshAttempts = 0
  #timer: NodeJS.Timeout | undefined
  #idleWaiters: (() => void)[] = []

  constructor(wire: SenderWire, owner: SenderOwner, options: SenderOptions) {
    this.#wire = wire
    this.#owner = owner
    this.#options = options
    this.#seal = {
      transactional: owner.transactionalId !== null,
      compression: options.compression,
      codec: batchCodec,
      bytesMax: options.batchBytesMax,
    }
  }

  /** True when a batch was given up that had a sequence number: a transactional producer must then `reset` to another identity. */
  get hasGivenUp(): boolean {
    return [...this.#queues.values()].some((partitions) =>
      [...partitions.values()].some((queue) => queue.needsIdentity),
    )
  }

  /** See `Producer.send`. When one of the records is too large, none is sent. */
  async send(records: OutgoingRecords): Promise<readonly ProducedBatch[]> {
    records.forEach((record) => {
      checkSize(record, this.#seal.bytesMax)
    })
    const send = new PendingSend()
    if (this.#waiting.length > 0 || this.#bytes >= kafkaLimits.sendBufferBytesMax) this.#waiting.push({ records, send })
    else this.#admit({ records, send })
    return send.promise
  }

  /** Resolves when nothing is unacknowledged and no request is in flight. */
  async idle(): Promise<void> {
    if (this.#isIdle()) return
    await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
  }

  /** Rejects everything unacknowledged. Requests in flight go on; `idle` waits for them, and `reset` must follow. */
  abandon(error: StreamsError): void {
    for (const { send } of this.#waiting.splice(0)) send.fail(error)
    for (const queue of this.#active) for (const batch of [...queue.batches]) this.#drop(queue, batch, error)
    this.#settle()
  }

  /** Begins a transaction: partitions are enlisted anew. With an identity, sequences begin at 0 under it; the sender must be idle. */
  reset(identity?: ProducerIdentity): void {
    this.#enlisted.clear()
    if (identity === undefined) return
    for (const partitions of this.#queues.values()) {
      for (const queue of partitions.values()) {
        queue.restart(0)
        queue.adopt(identity)
      }
    }
  }

  /** Stops the timer. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  #admit({ records, send }: Admission): void {
    const limits = {
      bytesMax: this.#seal.bytesMax,
      deadlineMs: performance.now() + this.#options.deliveryTimeoutMs,
    }
    records.forEach((record) => {
      const queue = this.#queueOf(record)
      this.#bytes += queue.append(record, send, limits)
      this.#active.add(queue)
    })
    send.finish()
    this.#schedulePump()
  }

  #queueOf({ topic, partition }: OutgoingRecord): PartitionQueue {
    let partitions = this.#queues.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      this.#queues.set(topic, partitions)
    }
    let queue = partitions.get(partition)
    if (queue === undefined) {
      queue = new PartitionQueue({ topic, partition }, this.#owner.identity())
      partitions.set(partition, queue)
    }
    return queue
  }

  /** After all that happens in this turn of the event loop, so that its sends go out together. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return
    this.#pumpScheduled = true
    setImmediate(() => {
      this.#pumpScheduled = false
      this.#pump(performance.now())
    })
  }

  #pump(nowMs: number): void {
    this.#expire(nowMs)
    const byLeader = new Map<number, PartitionQueue[]>()
    const newcomers: PartitionQueue[] = []
    let isLeaderMissing = false
    for (const queue of this.#active) {
      if (!queue.isReady(nowMs, kafkaLimits.inFlightMax)) continue
      const leader = this.#wire.leaderOf(queue)
      if (leader === undefined) isLeaderMissing = true
      else if (!this.#enlisted.has(queue)) newcomers.push(queue)
      else pushTo(byLeader, leader, queue)
    }
    if (isLeaderMissing) void this.#refresh()
    if (newcomers.length > 0) void this.#enlist(newcomers)
    for (const [leader, queues] of byLeader) this.#sendTo(leader, queues, nowMs)
    this.#arm(nowMs)
  }

  #sendTo(leader: number, queues: readonly PartitionQueue[], nowMs: number): void {
    while ((this.#inFlight.get(leader) ?? 0) < kafkaLimits.inFlightMax) {
      const sent: Sent[] = []
      const entries: ProduceEntry[] = []
      let bytes = 0
      for (const queue of queues) {
        if (!queue.isReady(nowMs, kafkaLimits.inFlightMax)) continue
        if (bytes > 0 && bytes + queue.nextBytes() > kafkaLimits.requestBytesMax) continue
        const taken = queue.take(this.#seal)
        if (taken === undefined) continue
        sent.push({ queue, batch: taken.batch })
        entries.push({ topic: queue.topic, partition: queue.partition, bytes: taken.bytes })
        bytes += taken.bytes.length
      }
      if (sent.length === 0) return
      this.#inFlight.set(leader, (this.#inFlight.get(leader) ?? 0) + 1)
      this.#requests++
      void this.#request(leader, sent, entries)
    }
  }

  /** Never rejects: every outcome ends in the state of the batches. */
  async #request(leader: number, sent: readonly Sent[], entries: readonly ProduceEntry[]): Promise<void> {
    let isConnected = false
    try {
      const request = await this.#wire.connect(leader)
      isConnected = true
      this.#answered(sent, await request(entries))
    } catch (error) {
      // Before there was a connection, nothing can have been written.
      this.#unanswered(sent, translate(error, `sending to broker ${leader}`), isConnected)
    }
    this.#inFlight.set(leader, (this.#inFlight.get(leader) ?? 1) - 1)
    this.#requests--
    this.#settle()
  }

  #answered(sent: readonly Sent[], results: readonly ProduceResult[]): void {
    const byKey = new Map(results.map((result) => [partitionKey(result), result]))
    for (const { queue, batch } of sent) {
      const result = byKey.get(partitionKey(queue))
      queue.landed(batch)
      if (!queue.batches.includes(batch)) continue
      if (result === undefined) this.#doubt(queue, batch, `the answer leaves out ${partitionKey(queue)}`)
      else this.#conclude(queue, batch, result)
    }
    for (const { queue } of sent) this.#afterAnswer(queue)
  }

  #unanswered(sent: readonly Sent[], error: StreamsError, wasSent: boolean): void {
    for (const { queue, batch } of sent) {
      queue.landed(batch)
      if (!queue.batches.includes(batch)) continue
      if (error.code !== 'BROKER_UNAVAILABLE') this.#giveUp(queue, batch, error)
      else if (wasSent) this.#doubt(queue, batch, error.message)
      else queue.draining = true
    }
    for (const { queue } of sent) this.#afterAnswer(queue)
    void this.#refresh()
  }

  #conclude(queue: PartitionQueue, batch: OutgoingBatch, result: ProduceResult): void {
    const code = result.errorCode
    if (code === errorCode.none || code === errorCode.duplicateSequence) {
      this.#bytes -= batch.bytes
      queue.remove(batch, 'written')
      queue.attempts = 0
      batch.acknowledge(queue, result.baseOffset)
      return
    }
    const isBehindAnother = queue.draining || queue.needsIdentity || queue.batches[0] !== batch
    if (code === errorCode.outOfOrderSequence && isBehindAnother) {
      batch.isDoubtful = false // the broker waits for an earlier number, so it has not seen this one
      queue.draining = true
    } else if (code === errorCode.messageTooLarge && this.#split(queue, batch)) {
      queue.draining = true
    } else if (isPassing(code) || code === errorCode.concurrentTransactions) {
      if (afterAppend.has(code)) batch.isDoubtful = true
      queue.draining = true
      void this.#refresh()
    } else {
      this.#giveUp(queue, batch, produceRefusal(queue, result))
    }
  }

  /** The topic takes smaller batches than we write: true when there was something to split. */
  #split(queue: PartitionQueue, batch: OutgoingBatch): boolean {
    const halves = batch.isDoubtful ? undefined : batch.split(queue, this.#seal.codec)
    if (halves === undefined) return false
    this.#bytes += halves[0].bytes + halves[1].bytes - batch.bytes
    queue.replace(batch, halves)
    return true
  }

  /** Nobody knows whether the batch is written: an idempotent producer repeats it, a transactional one must not go on. */
  #doubt(queue: PartitionQueue, batch: OutgoingBatch, why: string): void {
    batch.isDoubtful = true
    queue.draining = true
    if (!this.#seal.transactional) return
    const text = `a batch for ${partitionKey(queue)} may be written or not: ${why}`
    this.#giveUp(
      queue,
      batch,
      new StreamsError('OUTCOME_UNKNOWN', text, { topic: queue.topic, partition: queue.partition }),
    )
  }

  /** The batch fails; one of a transaction takes everything else with it. */
  #giveUp(queue: PartitionQueue, batch: OutgoingBatch, error: StreamsError): void {
    queue.draining = true
    this.#drop(queue, batch, error)
    if (!this.#seal.transactional) return
    this.abandon(error)
    this.#owner.failed(error)
  }

  #drop(queue: PartitionQueue, batch: OutgoingBatch, error: StreamsError): void {
    this.#bytes -= batch.bytes
    queue.remove(batch, 'givenUp')
    batch.reject(error)
  }

  /** Once all of a failed queue's requests are answered, it goes on: from its first batch, under another identity if need be. */
  #afterAnswer(queue: PartitionQueue): void {
    if (queue.inFlight > 0) return
    if (queue.draining) queue.restart(performance.now() + backoffMs(queue.attempts++, this.#wire.random))
    if (this.#seal.transactional || this.#replacing.has(queue)) return
    if (queue.isReadyForIdentity) void this.#replaceIdentity(queue)
  }

  /** Never rejects: without an identity, what waits for it fails. */
  async #replaceIdentity(queue: PartitionQueue): Promise<void> {
    this.#replacing.add(queue)
    try {
      queue.adopt(await this.#owner.newIdentity())
    } catch (error) {
      for (const batch of [...queue.batches]) this.#drop(queue, batch, translate(error, 'getting a producer id'))
    }
    this.#replacing.delete(queue)
    this.#settle()
  }

  /** Rejects what was not delivered in time. Of what is in flight, the answer decides what follows. */
  #expire(nowMs: number): void {
    for (const queue of this.#active) {
      const first = queue.batches[0]
      if (first === undefined || first.deadlineMs > nowMs) continue
      const late = queue.batches.filter((batch) => batch.deadlineMs <= nowMs || batch.isDoubtful)
      const error = this.#lateError(queue, late)
      if (queue.inFlight > 0) {
        for (const batch of late) batch.reject(error)
        continue
      }
      for (const batch of late) this.#giveUp(queue, batch, error)
      this.#afterAnswer(queue)
      this.#settle()
    }
  }

  #lateError(queue: PartitionQueue, late: readonly OutgoingBatch[]): StreamsError {
    const isUnknown = late.some(({ isDoubtful, isInFlight }) => isDoubtful || isInFlight)
    const text = `records for ${partitionKey(queue)} were not acknowledged within ${this.#options.deliveryTimeoutMs} ms`
    const context = { topic: queue.topic, partition: queue.partition }
    if (!isUnknown) return new StreamsError('BROKER_UNAVAILABLE', `${text}; they are not written`, context)
    return new StreamsError(
      this.#seal.transactional ? 'OUTCOME_UNKNOWN' : 'BROKER_UNAVAILABLE',
      `${text}; they may still appear once`,
      context,
    )
  }

  /** Never rejects. */
  async #enlist(queues: readonly PartitionQueue[]): Promise<void> {
    if (this.#enlisting) return
    this.#enlisting = true
    try {
      await this.#owner.enlist(queues)
      for (const queue of queues) this.#enlisted.add(queue)
    } catch (error) {
      const failure = translate(error, 'adding partitions to the transaction')
      this.abandon(failure)
      this.#owner.failed(failure)
    }
    this.#enlisting = false
    this.#settle()
  }

  /** Asks again who leads what. Never rejects: while no broker answers, batches wait for their deadline. */
  async #refresh(): Promise<void> {
    if (this.#refreshing) return
    this.#refreshing = true
    try {
      if (this.#refreshAttempts > 0) await pause(backoffMs(this.#refreshAttempts, this.#wire.random), this.#wire.signal)
      this.#refreshAttempts++
      await this.#wire.refresh([...new Set([...this.#active].map(({ topic }) => topic))])
      this.#failMissing(performance.now())
      if ([...this.#active].every((queue) => this.#wire.leaderOf(queue) !== undefined)) this.#refreshAttempts = 0
    } catch (error) {
      const failure = translate(error, 'reading metadata')
      if (failure.code !== 'BROKER_UNAVAILABLE') for (const queue of this.#active) this.#failQueue(queue, failure)
    }
    this.#refreshing = false
    this.#settle()
  }

  /** Rejects what goes to partitions that the cluster has not known for a while. */
  #failMissing(nowMs: number): void {
    for (const queue of this.#active) {
      const key = partitionKey(queue)
      if (this.#wire.exists(queue)) {
        this.#missingSinceMs.delete(key)
        continue
      }
      const sinceMs = this.#missingSinceMs.get(key) ?? nowMs
      this.#missingSinceMs.set(key, sinceMs)
      if (nowMs - sinceMs < kafkaLimits.topicMissingAfterMs) continue
      const { topic, partition } = queue
      this.#failQueue(
        queue,
        new StreamsError('TOPIC_MISSING', `${key} does not exist in the cluster`, { topic, partition }),
      )
    }
  }

  #failQueue(queue: PartitionQueue, error: StreamsError): void {
    for (const batch of [...queue.batches]) this.#giveUp(queue, batch, error)
    this.#afterAnswer(queue)
  }

  /** After any change: forgets what is done, lets those in who wait for room, and goes on sending. */
  #settle(): void {
    for (const queue of this.#active) if (queue.batches.length === 0 && queue.inFlight === 0) this.#active.delete(queue)
    while (this.#bytes < kafkaLimits.sendBufferBytesMax) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      this.#admit(next)
    }
    if (this.#isIdle()) for (const resolve of this.#idleWaiters.splice(0)) resolve()
    else this.#schedulePump()
  }

  #isIdle(): boolean {
    return this.#active.size === 0 && this.#waiting.length === 0 && this.#requests === 0 && !this.#enlisting
  }

  /** Wakes the pump for the next backoff or deadline that ends. */
  #arm(nowMs: number): void {
    clearTimeout(this.#timer)
    let nextMs = Number.POSITIVE_INFINITY
    for (const { notBeforeMs, batches } of this.#active) {
      if (notBeforeMs > nowMs) nextMs = Math.min(nextMs, notBeforeMs)
      const deadlineMs = batches[0]?.deadlineMs
      if (deadlineMs !== undefined) nextMs = Math.min(nextMs, Math.max(deadlineMs, nowMs + 100))
    }
    if (nextMs < Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#pump(performance.now()), nextMs - nowMs + 1)
  }
}

function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, [value])
  else known.push(value)
}

/** Measures only records that might be too large. */
function checkSize(record: OutgoingRecord, bytesMax: number): void {
  const rough = keyBytes(record) + valueBytes(record)
  if ((record.headers === undefined || record.headers.length === 0) && rough < bytesMax / 2) return
  const bytes = soloBatchBytes(record)
  if (bytes <= bytesMax) return
  const { topic, partition } = record
  throw new StreamsError(
    'RECORD_TOO_LARGE',
    `a record for ${topic}-${partition} takes ${bytes} bytes; batchBytesMax is ${bytesMax}`,
    { topic, partition },
  )
}

function produceRefusal(queue: PartitionQueue, { errorCode: code, message }: ProduceResult): StreamsError {
  const context = { topic: queue.topic, partition: queue.partition }
  if (code === errorCode.outOfOrderSequence || code === errorCode.unknownProducerId) {
    const text = `the broker's log of ${partitionKey(queue)} does not continue where the acknowledged records ended: some of them may be lost`
    return new StreamsError('BROKER_REFUSED', text, context)
  }
  return refusal(code, `sending to ${partitionKey(queue)}${message === null ? '' : ` (${message})`}`, context)
}
