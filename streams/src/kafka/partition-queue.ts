import type { ProducedBatch, TopicPartition } from '../core/broker.ts'
import type { BatchCodec, Compression } from '../core/compression.ts'
import type { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
import { RecordBatchBuilder, stampProducer } from '../core/record-batch.ts'
import { RecordCursor } from '../core/record-cursor.ts'

/** Who writes: given by the broker or the transaction coordinator. */
export interface ProducerIdentity {
  readonly id: number
  readonly epoch: number
}

/** How batches are sealed. */
export interface BatchSeal {
  readonly transactional: boolean
  readonly compression: Compression
  readonly codec: BatchCodec
  readonly bytesMax: number
}

/** Sequence numbers go on at 0 after 2^31 − 1. */
const sequenceMask = 0x7fffffff

/** Room for a batch beyond what those before it took. */
const roomSpare = 1.1

/** One call of `send`: resolved when the last of its batches is acknowledged, rejected with the first that fails. */
export class PendingSend {
  readonly promise: Promise<readonly ProducedBatch[]>
  readonly #produced: ProducedBatch[] = []
  readonly #resolve: (produced: readonly ProducedBatch[]) => void
  readonly #reject: (error: StreamsError) => void
  #open = 1

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<readonly ProducedBatch[]>()
    this.promise = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  /** One more batch holds records of this call. */
  expectBatch(): void {
    this.#open++
  }

  acknowledge(produced: ProducedBatch): void {
    this.#produced.push(produced)
    this.finish()
  }

  /** One batch is done; also called once when all records are queued. */
  finish(): void {
    if (--this.#open === 0) this.#resolve(this.#produced)
  }

  fail(error: StreamsError): void {
    this.#reject(error)
  }
}

/** A batch from its first record to its acknowledgement. */
export class OutgoingBatch {
  readonly deadlineMs: number
  isInFlight = false
  /** An answer was lost once: whatever later answers refuse, the batch may be written, until one acknowledges it. */
  isDoubtful = false
  /** The number of its first record; −1 before it is first sent. */
  sequence = -1
  /** Memory it holds, as counted by the sender. */
  bytes = 0
  count = 0
  #builder: RecordBatchBuilder | undefined
  #sealed: Buffer | undefined
  readonly #parts: { readonly send: PendingSend; readonly first: number; count: number }[] = []

  constructor(deadlineMs: number, room?: number) {
    this.deadlineMs = deadlineMs
    this.#builder = new RecordBatchBuilder(room)
  }

  /** False when the batch is full or sealed. */
  append(record: OutgoingRecord, send: PendingSend, bytesMax: number): boolean {
    if (this.#builder === undefined || !this.#builder.append(record, bytesMax)) return false
    const last = this.#parts.at(-1)
    if (last?.send === send) {
      last.count++
    } else {
      this.#parts.push({ send, first: this.count, count: 1 })
      send.expectBatch()
    }
    this.count++
    this.bytes = this.#builder.bytes
    return true
  }

  /** The finished bytes; the same again until the batch is numbered anew. */
  seal(identity: ProducerIdentity, seal: BatchSeal): Buffer {
    const producer = { ...identity, baseSequence: this.sequence, transactional: seal.transactional }
    if (this.#builder !== undefined) {
      this.#sealed = this.#builder.build({ producer, compression: seal.compression, codec: seal.codec })
      this.#builder = undefined
    } else if (this.#sealed !== undefined) {
      stampProducer(this.#sealed, producer, seal.codec)
    }
    return this.#sealed ?? Buffer.alloc(0)
  }

  /**
   * The same records in two batches under the same sequence numbers, for a broker that finds one too large and has not written it. Of a
   * batch of one record there is nothing to split.
   */
  split(of: TopicPartition, codec: BatchCodec): readonly [OutgoingBatch, OutgoingBatch] | undefined {
    if (this.count < 2 || this.#sealed === undefined) return undefined
    const half = Math.floor(this.count / 2)
    const halves = [new OutgoingBatch(this.deadlineMs), new OutgoingBatch(this.deadlineMs)] as const
    halves[0].sequence = this.sequence
    halves[1].sequence = (this.sequence + half) & sequenceMask
    let part = 0
    for (const [index, record] of readBack(this.#sealed, of, codec).entries()) {
      while ((this.#parts[part]?.first ?? 0) + (this.#parts[part]?.count ?? 0) <= index) part++
      const send = this.#parts[part]?.send
      if (send !== undefined) halves[index < half ? 0 : 1].append(record, send, Number.MAX_SAFE_INTEGER)
    }
    for (const { send } of this.#parts) send.finish() // its records are expected from the halves now
    return halves
  }

  acknowledge({ topic, partition }: TopicPartition, baseOffset: number): void {
    for (const { send, first, count } of this.#parts) {
      send.acknowledge({ topic, partition, baseOffset: baseOffset < 0 ? -1 : baseOffset + first, count })
    }
  }

  reject(error: StreamsError): void {
    for (const { send } of this.#parts) send.fail(error)
  }
}

/**
 * What is not acknowledged yet of one partition, in order, and the sequence numbers by which the broker tells order and duplicates.
 * After a failure nothing is sent until all that is in flight was answered (`draining`); then it goes on from the first batch. A pair of
 * identity and sequence number never stands for two batches: once a numbered batch is given up (`needsIdentity`), the partition goes on
 * under another identity, after the doubtful ones were settled under the former.
 */
export class PartitionQueue implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly batches: OutgoingBatch[] = []
  inFlight = 0
  draining = false
  needsIdentity = false
  attempts = 0
  notBeforeMs = 0
  #identity: ProducerIdentity
  #nextSequence = 0
  /** What a batch is likely to take, by those before it. */
  #room = 0
  /** How many of the first batches are in flight. */
  #sent = 0

  constructor({ topic, partition }: TopicPartition, identity: ProducerIdentity) {
    this.topic = topic
    this.partition = partition
    this.#identity = identity
  }

  /** True when there is something to send and nothing in its way. */
  isReady(nowMs: number, inFlightMax: number): boolean {
    const next = this.batches[this.#sent]
    if (next === undefined || this.draining || this.inFlight >= inFlightMax || this.notBeforeMs > nowMs) return false
    return !this.needsIdentity || next.isDoubtful
  }

  /** True when nothing is in doubt under the former identity any more, so that the rest can be numbered under another one. */
  get isReadyForIdentity(): boolean {
    return this.needsIdentity && this.inFlight === 0 && this.batches.every(({ isDoubtful }) => !isDoubtful)
  }

  /** The size of the batch that `take` would give, at most. */
  nextBytes(): number {
    return this.batches[this.#sent]?.bytes ?? 0
  }

  /** Adds a record that fits a batch alone; returns by how many bytes the queue has grown. */
  append(
    record: OutgoingRecord,
    send: PendingSend,
    limits: { readonly bytesMax: number; readonly deadlineMs: number },
  ): number {
    const last = this.batches.at(-1)
    const bytesBefore = last?.bytes ?? 0
    if (last?.append(record, send, limits.bytesMax)) return last.bytes - bytesBefore
    const batch = new OutgoingBatch(limits.deadlineMs, Math.min(this.#room, limits.bytesMax))
    batch.append(record, send, limits.bytesMax)
    this.batches.push(batch)
    return batch.bytes
  }

  /** Takes the next batch to be sent: numbered, sealed, in flight. */
  take(seal: BatchSeal): { readonly batch: OutgoingBatch; readonly bytes: Buffer } | undefined {
    const batch = this.batches[this.#sent]
    if (batch === undefined) return undefined
    if (batch.sequence < 0) {
      batch.sequence = this.#nextSequence
      this.#nextSequence = (this.#nextSequence + batch.count) & sequenceMask
    }
    this.#room = Math.ceil((this.#room + batch.bytes * roomSpare) / 2)
    batch.isInFlight = true
    this.#sent++
    this.inFlight++
    return { batch, bytes: batch.seal(this.#identity, seal) }
  }

  /** A request with this batch was answered, or will not be. */
  landed(batch: OutgoingBatch): void {
    batch.isInFlight = false
    this.inFlight--
  }

  /** Puts two batches in the place of one that is not in flight. */
  replace(batch: OutgoingBatch, halves: readonly [OutgoingBatch, OutgoingBatch]): void {
    const index = this.batches.indexOf(batch)
    this.batches.splice(index, 1, ...halves)
    if (index < this.#sent) this.#sent++
  }

  /** The batch is written, or given up; in the second case its number must not be used again. */
  remove(batch: OutgoingBatch, outcome: 'written' | 'givenUp'): void {
    const index = this.batches.indexOf(batch)
    if (index < 0) return
    this.batches.splice(index, 1)
    if (index < this.#sent) this.#sent--
    if (outcome === 'givenUp' && batch.sequence >= 0) this.needsIdentity = true
  }

  /** All that was in flight is answered: go on from the first batch, not before `notBeforeMs`. */
  restart(notBeforeMs: number): void {
    this.draining = false
    this.#sent = 0
    this.notBeforeMs = notBeforeMs
  }

  /** Numbers everything anew under another identity; nothing may be in flight. */
  adopt(identity: ProducerIdentity): void {
    this.#identity = identity
    this.#nextSequence = 0
    this.needsIdentity = false
    for (const batch of this.batches) batch.sequence = -1
  }
}

/** The records of a sealed batch. */
function readBack(bytes: Buffer, { topic, partition }: TopicPartition, codec: BatchCodec): readonly OutgoingRecord[] {
  const cursor = new RecordCursor()
  cursor.reset({
    topic,
    partition,
    fetchOffset: 0,
    bytes,
    highWatermark: 0,
    lastStableOffset: 0,
    abortedTransactions: [],
    codec,
  })
  const records: OutgoingRecord[] = []
  while (cursor.next()) {
    const { bytes: from, timestamp, keyStart, keyEnd, valueStart, valueEnd } = cursor
    const key = keyStart < 0 ? null : from.subarray(keyStart, keyEnd)
    const value = valueStart < 0 ? null : from.subarray(valueStart, valueEnd)
    records.push({ topic, partition, key, value, timestamp, headers: cursor.headers() })
  }
  return records
}
