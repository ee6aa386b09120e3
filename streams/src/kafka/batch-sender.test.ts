import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ProducedBatch } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
import { batchPosition } from '../core/record-batch-layout.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import { BatchSender, type SenderOwner, type SenderWire } from './batch-sender.ts'
import { errorCode } from './protocol-error.ts'
import type { ProduceEntry, ProduceResult } from './raw-produce.ts'

/** What happens to a request. */
type Weather = 'fine' | 'slow' | 'unreachable' | 'lostBefore' | 'lostAfter' | 'notLeader' | 'slowReplicas' | 'invalid'

const deliveryTimeoutMs = 30_000

const options = { compression: 'none', batchBytesMax: 1024 * 1024 } as const

/** A partition's log that keeps sequences as a broker does: in order, and the last five batches told apart from new ones. */
class SequencedLog {
  readonly values: string[] = []
  readonly #producers = new Map<bigint, { next: number; recent: { sequence: number; baseOffset: number }[] }>()

  append(bytes: Buffer): { readonly errorCode: number; readonly baseOffset: number } {
    const id = bytes.readBigInt64BE(batchPosition.producerId)
    const sequence = bytes.readInt32BE(batchPosition.baseSequence)
    const count = bytes.readInt32BE(batchPosition.recordCount)
    const producer = this.#producers.get(id) ?? { next: 0, recent: [] }
    const duplicate = producer.recent.find((batch) => batch.sequence === sequence)
    if (duplicate !== undefined) return { errorCode: 0, baseOffset: duplicate.baseOffset }
    if (sequence < producer.next) return { errorCode: errorCode.duplicateSequence, baseOffset: -1 }
    if (sequence > producer.next) return { errorCode: errorCode.outOfOrderSequence, baseOffset: -1 }
    const baseOffset = this.values.length
    producer.next += count
    producer.recent = [...producer.recent, { sequence, baseOffset }].slice(-5)
    this.#producers.set(id, producer)
    this.values.push(...valuesOf(bytes))
    return { errorCode: 0, baseOffset }
  }
}

/** A cluster of one broker whose weather is given request by request; when a connection is lost, all that is on its way is. */
class StormyCluster implements SenderWire {
  readonly signal = new AbortController().signal
  readonly logs = new Map<string, SequencedLog>()
  readonly random = () => 0.5
  isMissing = false
  requests = 0
  readonly #weather: Weather[]
  #connection = { isLost: false }

  constructor(weather: readonly Weather[]) {
    this.#weather = [...weather]
  }

  leaderOf(): number | undefined {
    return this.isMissing ? undefined : 1
  }

  exists(): boolean {
    return !this.isMissing
  }

  async refresh(): Promise<void> {}

  async connect(): Promise<(entries: readonly ProduceEntry[]) => Promise<readonly ProduceResult[]>> {
    const weather = this.#weather.shift() ?? 'fine'
    if (weather === 'unreachable') throw new StreamsError('BROKER_UNAVAILABLE', 'refused')
    if (this.#connection.isLost) this.#connection = { isLost: false }
    const connection = this.#connection
    return async (entries) => {
      this.requests++
      const isAlreadyLost = connection.isLost
      if (weather === 'lostBefore') connection.isLost = true
      const results =
        isAlreadyLost || weather === 'lostBefore' ? [] : entries.map((entry) => this.#write(entry, weather))
      if (weather === 'lostAfter') connection.isLost = true
      await new Promise((resolve) => setTimeout(resolve, weather === 'slow' ? 500 : 5))
      if (connection.isLost) throw new StreamsError('BROKER_UNAVAILABLE', 'connection lost')
      return results
    }
  }

  #write({ topic, partition, bytes }: ProduceEntry, weather: Weather): ProduceResult {
    if (weather === 'notLeader')
      return { topic, partition, errorCode: errorCode.notLeaderOrFollower, baseOffset: -1, message: null }
    if (weather === 'invalid') return { topic, partition, errorCode: 87, baseOffset: -1, message: 'not valid' }
    const log = this.logs.get(`${topic}-${partition}`) ?? new SequencedLog()
    this.logs.set(`${topic}-${partition}`, log)
    const appended = log.append(bytes)
    if (weather === 'slowReplicas' && appended.errorCode === 0)
      return { topic, partition, errorCode: errorCode.requestTimedOut, baseOffset: -1, message: null }
    return { topic, partition, ...appended, message: null }
  }
}

function valuesOf(bytes: Buffer): readonly string[] {
  const cursor = new RecordCursor()
  cursor.reset({
    topic: '',
    partition: 0,
    fetchOffset: 0,
    bytes,
    highWatermark: 0,
    lastStableOffset: 0,
    abortedTransactions: [],
  })
  const values: string[] = []
  while (cursor.next()) values.push(cursor.bytes.toString('utf8', cursor.valueStart, cursor.valueEnd))
  return values
}

function idempotentOwner(): SenderOwner {
  let ids = 1
  return {
    transactionalId: null,
    identity: () => ({ id: 1, epoch: 0 }),
    newIdentity: async () => ({ id: ++ids, epoch: 0 }),
    enlist: async () => {},
    failed: () => {},
  }
}

function record(value: string, partition = 0): OutgoingRecord {
  return { topic: 't', partition, key: null, value: Buffer.from(value), timestamp: 1 }
}

/** What became of a call of `send`. */
interface Sent {
  readonly values: readonly string[]
  readonly partition: number
  produced?: readonly ProducedBatch[]
  error?: unknown
}

function follow(promise: Promise<readonly ProducedBatch[]>, sent: Sent): Sent {
  promise.then(
    (produced) => {
      sent.produced = produced
    },
    (error: unknown) => {
      sent.error = error
    },
  )
  return sent
}

describe('BatchSender', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  it('loses nothing acknowledged, writes nothing twice, and keeps the order, whatever the weather', async () => {
    const weathers: readonly Weather[] = [
      'fine',
      'slow',
      'unreachable',
      'lostBefore',
      'lostAfter',
      'notLeader',
      'slowReplicas',
      'invalid',
    ]
    const property = fc.asyncProperty(
      fc.array(fc.constantFrom(...weathers), { maxLength: 30 }),
      fc.array(
        fc.record({
          partition: fc.nat(2),
          size: fc.integer({ min: 1, max: 5 }),
          waitMs: fc.constantFrom(0, 1, 30, 400),
        }),
        { minLength: 1, maxLength: 40 },
      ),
      async (weather, calls) => {
        const cluster = new StormyCluster(weather)
        const sender = new BatchSender(cluster, idempotentOwner(), { ...options, deliveryTimeoutMs })
        const sent: Sent[] = []
        for (const [i, { partition, size, waitMs }] of calls.entries()) {
          const values = Array.from({ length: size }, (_, j) => `${i}/${j}`)
          sent.push(follow(sender.send(values.map((value) => record(value, partition))), { values, partition }))
          if (waitMs > 0) await vi.advanceTimersByTimeAsync(waitMs)
        }
        const idle = sender.idle()
        await vi.advanceTimersByTimeAsync(2 * deliveryTimeoutMs)
        await idle
        sender.stop()
        for (const partition of [0, 1, 2]) checkLog(cluster, partition, sent)
        for (const { produced, error } of sent) expect(produced === undefined).toBe(error !== undefined)
      },
    )
    await fc.assert(property, { numRuns: 300 })
  })

  it('is not made to write twice by an answer that was lost again and again', async () => {
    const cluster = new StormyCluster(Array.from({ length: 6 }, () => 'lostAfter' as const))
    const sender = new BatchSender(cluster, idempotentOwner(), { ...options, deliveryTimeoutMs })
    const sent = follow(sender.send([record('once')]), { values: [], partition: 0 })
    await vi.advanceTimersByTimeAsync(20_000)
    sender.stop()
    expect(sent.produced).toEqual([{ topic: 't', partition: 0, baseOffset: 0, count: 1 }])
    expect(cluster.logs.get('t-0')?.values).toEqual(['once'])
    expect(cluster.requests).toBe(7)
  })

  it('fails what is not delivered in time, says whether it may be written, and goes on', async () => {
    const cluster = new StormyCluster(Array.from({ length: 9 }, () => 'unreachable' as const))
    const sender = new BatchSender(cluster, idempotentOwner(), { ...options, deliveryTimeoutMs: 3_000 })
    const sent = follow(sender.send([record('never')]), { values: [], partition: 0 })
    await vi.advanceTimersByTimeAsync(3_100)
    expect(sent.error).toMatchObject({
      code: 'BROKER_UNAVAILABLE',
      message: expect.stringContaining('not written'),
      topic: 't',
      partition: 0,
    })
    await vi.advanceTimersByTimeAsync(60_000)
    const later = [1, 2, 3, 4].map((i) => follow(sender.send([record(`${i}`)]), { values: [], partition: 0 }))
    await vi.advanceTimersByTimeAsync(60_000)
    for (const { produced, error } of later) expect(produced ?? error).toHaveLength(1)
    sender.stop()
    expect(cluster.logs.get('t-0')?.values).toEqual(['1', '2', '3', '4'])
  })

  it('fails records for a partition that stays unknown', async () => {
    const cluster = new StormyCluster([])
    cluster.isMissing = true
    const sender = new BatchSender(cluster, idempotentOwner(), { ...options, deliveryTimeoutMs })
    const sent = follow(sender.send([record('x')]), { values: [], partition: 0 })
    await vi.advanceTimersByTimeAsync(5_000)
    expect(sent.error).toMatchObject({ code: 'TOPIC_MISSING' })
    await sender.idle()
    sender.stop()
  })

  it('puts records that come while requests are in flight into fewer batches', async () => {
    const cluster = new StormyCluster(Array.from({ length: 5 }, () => 'slow' as const))
    const sender = new BatchSender(cluster, idempotentOwner(), { ...options, deliveryTimeoutMs })
    for (let i = 0; i < 1000; i++) {
      void sender.send([record(`${i}`)])
      await vi.advanceTimersByTimeAsync(0.1)
    }
    await vi.advanceTimersByTimeAsync(1_000)
    await sender.idle()
    sender.stop()
    expect(cluster.logs.get('t-0')?.values).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`))
    expect(cluster.requests).toBeLessThan(20)
  })

  it('stops a transaction at the first outcome it does not know', async () => {
    const cluster = new StormyCluster(['fine', 'lostAfter'])
    const failures: StreamsError[] = []
    const owner: SenderOwner = { ...idempotentOwner(), transactionalId: 'tx', failed: (error) => failures.push(error) }
    const sender = new BatchSender(cluster, owner, { ...options, deliveryTimeoutMs })
    const sent: Sent[] = []
    for (const value of ['known', 'unknown', 'behind it']) {
      sent.push(follow(sender.send([record(value)]), { values: [value], partition: 0 }))
      await vi.advanceTimersByTimeAsync(value === 'known' ? 20 : 2)
    }
    await vi.advanceTimersByTimeAsync(1_000)
    await sender.idle()
    sender.stop()
    expect(failures[0]).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(sent.map(({ produced }) => produced?.length)).toEqual([1, undefined, undefined])
    expect(sent[1]?.error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    const requests = cluster.requests
    await vi.advanceTimersByTimeAsync(60_000)
    expect(cluster.requests).toBe(requests)
  })
})

/** Acknowledged once and where it was said; rejected at most once; all in the order of the calls. */
function checkLog(cluster: StormyCluster, partition: number, sent: readonly Sent[]): void {
  const log = cluster.logs.get(`t-${partition}`)?.values ?? []
  const own = sent.filter((one) => one.partition === partition)
  expect(new Set(log).size).toBe(log.length)
  const written = new Set(log)
  expect(log).toEqual(own.flatMap(({ values }) => values).filter((value) => written.has(value)))
  for (const { values, produced } of own) {
    if (produced === undefined) continue
    const said = produced.flatMap(({ baseOffset, count }) =>
      baseOffset < 0 ? values.slice(0, count) : log.slice(baseOffset, baseOffset + count),
    )
    expect(said.toSorted()).toEqual(values.toSorted())
    for (const value of values) expect(written).toContain(value)
  }
}
