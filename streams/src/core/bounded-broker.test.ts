import { beforeEach, describe, expect, it } from 'vitest'
import { FakeBroker } from '../testing/fake-broker.ts'
import { boundedBroker } from './bounded-broker.ts'
import type { Broker, Fetcher } from './broker.ts'
import { RecordCursor } from './record-cursor.ts'

const of = { topic: 'in', partition: 0 }
const whole = { topic: 'in', partition: 1 }

let inner: FakeBroker
let broker: Broker
beforeEach(() => {
  inner = new FakeBroker()
  inner.createTopic('in', 2)
  append(10)
  broker = boundedBroker(inner, [{ ...of, firstOffset: 3, nextOffset: 7 }])
})

/** As many to each of both partitions, in batches of three. */
function append(count: number): void {
  for (let at = 0; at < count; at += 3) {
    const records = Array.from({ length: Math.min(3, count - at) }, () => ({ key: null, value: Buffer.from('v') }))
    for (const { partition } of [of, whole]) {
      inner.append(records.map((record) => ({ ...record, topic: 'in', partition, timestamp: 5 })))
    }
  }
}

/** Offsets by partition, until nothing more comes. */
async function readAll(fetcher: Fetcher): Promise<readonly (readonly number[])[]> {
  const offsets: number[][] = [[], []]
  const cursor = new RecordCursor()
  for (;;) {
    const fetched = await fetcher.poll(0)
    if (fetched.length === 0) return offsets
    for (const batches of fetched) {
      cursor.reset(batches)
      while (cursor.next()) offsets[batches.partition]?.push(cursor.offset)
    }
  }
}

describe('boundedBroker', () => {
  it('shows the range and no more, and the other partitions whole', async () => {
    const fetcher = await broker.openFetcher({ clientId: 'c' })
    fetcher.assign([
      { ...of, offset: 3 },
      { ...whole, offset: 0 },
    ])
    expect(await readAll(fetcher)).toEqual([
      [3, 4, 5, 6],
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    ])
    expect(fetcher.position(of)).toBe(7)
    expect(fetcher.position(whole)).toBe(10)
    append(3)
    fetcher.resume(of)
    expect(await readAll(fetcher)).toEqual([[], [10, 11, 12]])
  })

  it('tells the ends of the range with what it brings, so that readers know that there is no more', async () => {
    const fetcher = await broker.openFetcher({ clientId: 'c', partitionBytesMax: 1 })
    fetcher.assign([{ ...of, offset: 3 }])
    for (const batches of await fetcher.poll(0)) {
      expect(batches).toMatchObject({ endOffset: 7, highWatermark: 7, lastStableOffset: 7 })
    }
  })

  it('goes on after a seek to before the end', async () => {
    const fetcher = await broker.openFetcher({ clientId: 'c' })
    fetcher.assign([{ ...of, offset: 7 }])
    expect(await readAll(fetcher)).toEqual([[], []])
    fetcher.seek({ ...of, offset: 5 })
    expect(await readAll(fetcher)).toEqual([[5, 6], []])
  })

  it('begins and ends where the range does, for whoever asks', async () => {
    const admin = await broker.openAdmin()
    const both = [of, whole]
    expect(await admin.listOffsets(both, 'earliest')).toEqual(
      new Map([
        ['in-0', 3],
        ['in-1', 0],
      ]),
    )
    for (const at of ['latest', 'latestCommitted'] as const) {
      expect(await admin.listOffsets(both, at)).toEqual(
        new Map([
          ['in-0', 7],
          ['in-1', 10],
        ]),
      )
    }
  })
})
