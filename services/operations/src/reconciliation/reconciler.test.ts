import { FakeBroker } from '@millrace/streams/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { MinuteRange } from './minute-bounds.ts'
import { createReconciler } from './reconciler.ts'
import { differenceOf, type Reconciliation } from './reconciliation.ts'
import { gapsOf, type StoreSide } from './store-side.ts'

const minute = 60_000
const startMs = 1_700_000_040_000
const boundMs = 5 * minute

/** A store in memory that keeps the offsets of one partition, and the keys of its records. */
class MemoryStore {
  readonly offsets = new Map<number, { readonly key: string; readonly receivedMs: number }>()
  readonly letters = new Set<number>()
  readonly acknowledged = new Map<number, number>()
  committed = 0
  processed = 0

  readonly side: StoreSide = {
    topic: 'events',
    store: 'clickhouse',
    foundAs: 'resent',
    routes: ['/events'],
    count: async ({ ranges }) => {
      const byReception = new Map<number, number>()
      for (const { receivedMs } of this.offsets.values()) {
        const minuteMs = Math.floor(receivedMs / minute) * minute
        byReception.set(minuteMs, (byReception.get(minuteMs) ?? 0) + 1)
      }
      return { ranges: ranges.map((range) => ({ records: this.#within(range).length, doubled: 0 })), byReception }
    },
    missing: async (range) => {
      const stored = new Set(this.#within(range))
      const missing: number[] = []
      for (let at = range.firstOffset; at < range.nextOffset; at++) if (!stored.has(at)) missing.push(at)
      return { gaps: gapsOf(range.partition, missing) }
    },
    keyOf: async ({ bytes, keyStart, keyEnd }) => bytes.toString('utf8', keyStart, keyEnd),
    known: async (keys) => {
      const stored = new Set([...this.offsets.values()].map(({ key }) => key))
      return new Set(keys.filter((key) => stored.has(key)))
    },
    deadLettered: async () => this.letters,
    committed: async () => new Map([[0, this.committed]]),
  }

  #within({ firstOffset, nextOffset }: MinuteRange): number[] {
    return [...this.offsets.keys()].filter((offset) => offset >= firstOffset && offset < nextOffset)
  }
}

let broker: FakeBroker
let store: MemoryStore
let nowMs: number

beforeEach(() => {
  broker = new FakeBroker()
  broker.createTopic('events', 1)
  store = new MemoryStore()
  nowMs = startMs + 10 * minute
})

/** Records in Kafka, one per age in minutes after the start; all are stored, come to and acknowledged unless a test takes something away. */
function produce(minutes: readonly number[], keys: readonly string[] = []): void {
  for (const [index, at] of minutes.entries()) {
    const timestamp = startMs + at * minute + 1_000
    const key = keys[index] ?? `k${store.offsets.size}`
    broker.append([{ topic: 'events', partition: 0, key: Buffer.from(key), value: Buffer.from('v'), timestamp }])
    store.offsets.set(store.offsets.size, { key, receivedMs: timestamp })
    const minuteMs = startMs + at * minute
    store.acknowledged.set(minuteMs, (store.acknowledged.get(minuteMs) ?? 0) + 1)
  }
  store.committed = store.offsets.size
  store.processed = store.offsets.size
}

function run(range: { readonly fromMs?: number; readonly toMs?: number } = {}): Promise<Reconciliation> {
  const reconciler = createReconciler({
    broker,
    sides: [store.side],
    acknowledged: {
      acknowledged: async () => [...store.acknowledged].map(([minuteMs, items]) => ({ minuteMs, items })),
    },
    processed: async () => new Map([[0, store.processed]]),
    nowMs: () => nowMs,
  })
  return reconciler.run({ fromMs: startMs, toMs: nowMs, boundMs, ...range })
}

async function outcome(range = {}) {
  const found = await run(range)
  const [topic] = found.topics
  return { ...topic, sum: differenceOf(found), minutes: topic?.minutes.filter(({ kafka }) => kafka > 0) ?? [] }
}

describe('Reconciler', () => {
  it('finds no difference where every record is stored, and counts each minute', async () => {
    produce([0, 0, 1, 3])
    const { sum, minutes, isComplete } = await outcome()
    expect({ sum, isComplete }).toEqual({ sum: 0, isComplete: true })
    expect(
      minutes.map(({ kafka, stored, processed, acknowledged }) => [kafka, stored, processed, acknowledged]),
    ).toEqual([
      [2, 2, 2, 2],
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ])
  })

  it('names the minute and the offsets of what is not stored', async () => {
    produce([0, 1, 1, 1, 1, 2])
    for (const offset of [2, 3]) store.offsets.delete(offset)
    const { differences, totals } = await outcome()
    const place = { stage: 'store', minuteMs: startMs + minute, partition: 0 }
    expect(differences?.filter(({ stage }) => stage === 'store')).toEqual([
      { ...place, records: 2, firstOffset: 2, nextOffset: 4 },
    ])
    expect(totals).toMatchObject({ store: 2, gateway: 0, waiting: 0, processor: 0 })
  })

  it('calls no loss what is a dead letter, a resend, or no record', async () => {
    produce([0, 1, 1], ['a', 'b', 'a'])
    // The letter is put back in a transaction: its record and a marker take two offsets more.
    store.offsets.delete(1)
    store.letters.add(1)
    store.offsets.delete(2)
    const producer = await broker.openTransactionalProducer({ clientId: 'dlq', transactionalId: 'dlq' })
    const timestamp = startMs + minute + 2_000
    await producer.send([{ topic: 'events', partition: 0, key: Buffer.from('b'), value: Buffer.from('v'), timestamp }])
    await producer.commit()
    store.offsets.set(3, { key: 'b', receivedMs: timestamp })
    store.committed = 5
    store.processed = 4
    const { sum, minutes } = await outcome()
    expect(sum).toBe(0)
    expect(minutes[1]).toMatchObject({ kafka: 3, stored: 1, deadLettered: 1, resent: 1, missing: 0, processed: 3 })
  })

  it('tells what waits from what is lost, and judges neither before its time', async () => {
    produce([0, 1, 8, 9])
    for (const offset of [0, 1, 2, 3]) store.offsets.delete(offset)
    store.committed = 1
    store.processed = 1
    const { totals, minutes } = await outcome()
    expect(totals).toEqual({ gateway: 0, store: 1, waiting: 1, processor: 1 })
    expect(minutes.map(({ isSettled, missing, waiting }) => [isSettled, missing, waiting])).toEqual([
      [true, 1, 0],
      [true, 0, 1],
      [false, 0, 1],
      [false, 0, 1],
    ])
  })

  it('finds what was acknowledged and never came to Kafka', async () => {
    produce([0, 1, 2])
    store.acknowledged.set(startMs + minute, 4)
    expect((await outcome()).differences).toEqual([
      {
        stage: 'gateway',
        minuteMs: startMs + minute,
        records: 3,
        partition: null,
        firstOffset: null,
        nextOffset: null,
      },
    ])
  })

  it('counts a record that came in late where it lies, and by its own time when it was acknowledged', async () => {
    // Kept on the gateway's disk for two minutes while Kafka was away.
    produce([2, 0])
    const { sum, minutes } = await outcome()
    expect(sum).toBe(0)
    expect(minutes.map(({ minuteMs, kafka }) => [minuteMs - startMs, kafka])).toEqual([[2 * minute, 2]])
  })

  it('refuses ranges that it cannot look at', async () => {
    await expect(run({ fromMs: startMs, toMs: startMs })).rejects.toMatchObject({ code: 'BAD_RANGE' })
    await expect(run({ fromMs: startMs - 25 * 60 * minute })).rejects.toMatchObject({ code: 'BAD_RANGE' })
    await broker.openAdmin().then((admin) => admin.deleteTopics(['events']))
    await expect(run()).rejects.toMatchObject({ code: 'TOPIC_MISSING' })
  })
})
