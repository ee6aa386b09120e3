import type { BatchSink } from '@millrace/streams/sink'
import { FakeBroker } from '@millrace/streams/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { replayIntoTable } from './table-replay.ts'

const topic = 'events'
const startMs = 1_700_000_000_000

let broker: FakeBroker
/** By place, how often it was written. */
let rows: Map<string, number>
let tokens: string[]
/** Fails a write after it has stored so many rows. */
let failAfter: number

beforeEach(() => {
  broker = new FakeBroker()
  broker.createTopic(topic, 2)
  rows = new Map()
  tokens = []
  failAfter = Number.POSITIVE_INFINITY
})

/** Record `index` lies in partition `index % 2`, second `index`. */
function produce(count: number): void {
  for (let index = 0; index < count; index++) {
    const value = Buffer.from(String(index))
    broker.append([{ topic, partition: index % 2, key: null, value, timestamp: startMs + index * 1_000 }])
  }
}

const sink: BatchSink = {
  async write(batch, { token }) {
    tokens.push(token)
    for (let row = 0; row < batch.count; row++) {
      if (failAfter-- <= 0) throw new Error('ClickHouse is away')
      const value = batch.bytes.toString('utf8', batch.valueStart(row), batch.valueEnd(row))
      const place = `${batch.partition}-${batch.offset(row)}=${value}`
      rows.set(place, (rows.get(place) ?? 0) + 1)
    }
  },
}

function replay(fromSecond: number, toSecond: number) {
  return replayIntoTable(
    {
      broker,
      sink,
      table: {
        prepare: async () => undefined,
        records: async () => rows.size,
        offsets: async ({ partition, firstOffset, nextOffset }) => {
          const ofPartition = [...rows.keys()].filter((place) => place.startsWith(`${partition}-`))
          const offsets = ofPartition.map((place) => Number(/-(\d+)=/.exec(place)?.[1]))
          return new Set(offsets.filter((offset) => offset >= firstOffset && offset < nextOffset))
        },
      },
      patiently: (work) => work(),
      onProgress: () => undefined,
      signal: new AbortController().signal,
      rowsMax: 3,
    },
    { topic, fromMs: startMs + fromSecond * 1_000, toMs: startMs + toSecond * 1_000 },
  )
}

describe('replayIntoTable', () => {
  it('writes what arrived in the range, and ends', async () => {
    produce(20)
    expect(await replay(4, 14)).toEqual({ offsets: 10, done: 10, records: 10, known: 0 })
    const expected = Array.from({ length: 10 }, (_, index) => `${index % 2}-${Math.floor(index / 2) + 2}=${index + 4}`)
    expect([...rows.keys()].sort()).toEqual(expected.sort())
  })

  it('writes nothing twice when it is repeated, and goes on where it ended', async () => {
    produce(20)
    failAfter = 7
    await expect(replay(0, 20)).rejects.toThrow('ClickHouse is away')
    expect(rows.size).toBe(7)
    failAfter = Number.POSITIVE_INFINITY
    expect(await replay(0, 20)).toMatchObject({ records: 20, known: 7 })
    tokens = []
    expect(await replay(0, 20)).toMatchObject({ records: 20, known: 20 })
    expect(tokens).toEqual([])
    expect([rows.size, new Set(rows.values())]).toEqual([20, new Set([1])])
  })

  it('names a batch the same however often it is tried', async () => {
    produce(10)
    await replay(0, 10)
    const first = tokens
    rows.clear()
    tokens = []
    await replay(0, 10)
    expect(tokens).toEqual(first)
    expect(new Set(tokens).size).toBe(tokens.length)
  })

  it('passes over aborted records and markers, and has nothing to do in an empty range', async () => {
    produce(2)
    const producer = await broker.openTransactionalProducer({ clientId: 'test', transactionalId: 'test' })
    const record = { topic, partition: 0, key: null, value: Buffer.from('x'), timestamp: startMs + 5_000 }
    await producer.send([record])
    await producer.abort()
    await producer.send([{ ...record, value: Buffer.from('y') }])
    await producer.commit()
    expect(await replay(0, 60)).toMatchObject({ records: 3 })
    expect([...rows.keys()].some((place) => place.endsWith('=x'))).toBe(false)
    expect(await replay(100, 200)).toEqual({ offsets: 0, done: 0, records: 0, known: 0 })
  })
})
