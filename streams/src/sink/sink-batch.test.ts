import { describe, expect, it } from 'vitest'
import { SinkBatch } from './sink-batch.ts'

const place = { topic: 'events', partition: 1 }

/** A record of `source` whose key and value are these parts of it. */
function record(source: Buffer, key: readonly [number, number] | null, value: readonly [number, number] | null) {
  return {
    bytes: source,
    offset: 0,
    timestamp: 5,
    keyStart: key?.[0] ?? -1,
    keyEnd: key?.[1] ?? -1,
    valueStart: value?.[0] ?? -1,
    valueEnd: value?.[1] ?? -1,
    headers: () => [],
  }
}

const texts = (batch: SinkBatch) =>
  Array.from({ length: batch.count }, (_, row) => [
    batch.key(row)?.toString() ?? null,
    batch.value(row)?.toString() ?? null,
  ])

describe('SinkBatch', () => {
  it('keeps keys and values of any mixture of buffers, gaps and nulls', () => {
    const batch = new SinkBatch(place, 0)
    const one = Buffer.from('..k1.v1....k2v2')
    const far = Buffer.concat([Buffer.from('ab'), Buffer.alloc(1_000, '.'), Buffer.from('cd')])
    batch.append(record(one, [2, 4], [5, 7]))
    batch.append(record(one, [11, 13], [13, 15]))
    batch.append(record(far, null, [0, 2]))
    batch.append(record(far, [1_002, 1_004], null))
    batch.append(record(one, null, null))
    batch.append(record(far, null, [0, 1]))
    batch.append(record(one, [2, 2], [5, 5]))
    batch.append(record(one, [2, 4], [5, 7]))
    expect(texts(batch)).toEqual([
      ['k1', 'v1'],
      ['k2', 'v2'],
      [null, 'ab'],
      ['cd', null],
      [null, null],
      [null, 'a'],
      ['', ''],
      ['k1', 'v1'],
    ])
  })

  it('copies the little between neighbours, and no long gap', () => {
    const batch = new SinkBatch(place, 0)
    const source = Buffer.alloc(3_000, 'x')
    batch.append(record(source, [0, 10], [12, 20]))
    batch.append(record(source, [30, 40], [42, 50]))
    expect(batch.bytesUsed).toBe(50)
    batch.append(record(source, [83, 93], [95, 103]))
    expect(batch.bytesUsed).toBe(70)
    expect(batch.bytes.length).toBeGreaterThanOrEqual(70)
  })

  it('does not see what becomes of a buffer after settle, nor of the former one when another comes', () => {
    const batch = new SinkBatch(place, 0)
    const [first, second] = [Buffer.from('aa'), Buffer.from('bb')]
    batch.append(record(first, null, [0, 2]))
    batch.append(record(second, null, [0, 2]))
    first.fill('!')
    batch.settle()
    second.fill('!')
    expect(texts(batch)).toEqual([
      [null, 'aa'],
      [null, 'bb'],
    ])
  })

  it('takes over what a batch before was kept in, and nothing of what was in it', () => {
    const former = new SinkBatch(place, 0)
    const source = Buffer.alloc(50_000, 'x')
    for (let row = 0; row < 1_000; row++) former.append(record(source, null, [row, row + 10]))
    const { bytes } = former
    const next = new SinkBatch(place, 1_000, former.retire())
    expect(former.count).toBe(0)
    expect([next.count, next.bytesUsed]).toEqual([0, 0])
    next.append(record(Buffer.from('kv'), [0, 1], [1, 2]))
    expect(texts(next)).toEqual([['k', 'v']])
    expect(next.bytes).toBe(bytes)
  })

  it('grows over many records', () => {
    const batch = new SinkBatch(place, 0)
    const source = Buffer.from(Array.from({ length: 20_000 }, (_, index) => String(index).padStart(6, '0')).join(''))
    for (let row = 0; row < 20_000; row++) {
      batch.append(record(source, [row * 6, row * 6 + 2], [row * 6 + 2, row * 6 + 6]))
      if (row % 777 === 0) batch.settle()
    }
    expect(batch.value(12_345)?.toString()).toBe('2345')
    expect(batch.key(19_999)?.toString()).toBe('01')
    expect(batch.bytesUsed).toBe(120_000)
  })
})
