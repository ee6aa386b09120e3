import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Aggregator } from './aggregator.ts'
import { combine } from './combine.ts'
import { count } from './count.ts'
import { max, min } from './extremes.ts'
import { mean } from './mean.ts'
import { of } from './of.ts'
import { partialSerde } from './partial.ts'
import { sum } from './sum.ts'

interface Sale {
  readonly amount: number | null
}

const ofAmount = (sale: Sale): number | null => sale.amount
const all = combine<Sale>()({
  sales: count(),
  total: of(ofAmount, sum()),
  average: of(ofAmount, mean()),
  least: of(ofAmount, min()),
  most: of(ofAmount, max()),
})

function addAll<V, A, R>(aggregator: Aggregator<V, A, R>, values: readonly V[]): A {
  return values.reduce((accumulator, value) => aggregator.add(accumulator, value, 0), aggregator.init())
}

function throughBytes<V, A, R>(aggregator: Aggregator<V, A, R>, accumulator: A): A {
  const padded = Buffer.concat([Buffer.from('pad'), aggregator.serde.write(accumulator), Buffer.from('pad')])
  return aggregator.serde.read(padded, 3, padded.length - 3)
}

test('results', () => {
  const sales = [{ amount: 5 }, { amount: null }, { amount: -2 }, { amount: 12 }]
  expect(all.result(addAll(all, sales))).toEqual({ sales: 4, total: 15, average: 5, least: -2, most: 12 })
  expect(all.result(all.init())).toEqual({ sales: 0, total: 0, average: null, least: null, most: null })
})

describe('the law of merging: parts, each through its bytes, give what all values give in one go', () => {
  // Whole numbers, so that sums do not depend on their order.
  const values = fc.array(fc.record({ amount: fc.option(fc.integer({ min: -1_000_000, max: 1_000_000 })) }))
  const named: readonly [string, Aggregator<Sale, unknown, unknown>][] = [
    ['count', count()],
    ['sum', of(ofAmount, sum())],
    ['mean', of(ofAmount, mean())],
    ['min', of(ofAmount, min())],
    ['max', of(ofAmount, max())],
    ['combine', all],
  ]
  test.each(named)('%s', (_, aggregator) => {
    fc.assert(
      fc.property(values, values, values, (one, two, three) => {
        const [a, b, c] = [one, two, three].map((part) => throughBytes(aggregator, addAll(aggregator, part)))
        const merged = aggregator.merge?.(c, aggregator.merge(b, a))
        expect(aggregator.result(merged)).toEqual(aggregator.result(addAll(aggregator, [...one, ...two, ...three])))
      }),
    )
  })
})

test('bytes are as drawn', () => {
  const hex = (bytes: Buffer): string => bytes.toString('hex')
  expect(hex(count().serde.write(258))).toBe('0000000000000102')
  expect(hex(count().serde.write(-1))).toBe('ffffffffffffffff')
  expect(hex(sum().serde.write(1))).toBe('3ff0000000000000')
  expect(hex(min().serde.write(null))).toBe('7ff8000000000000')
  expect(hex(mean().serde.write({ count: 300, sum: 1 }))).toBe('ac023ff0000000000000')
  expect(hex(combine()({ one: count(), two: mean() }).serde.write([1, { count: 1, sum: 1 }]))).toBe(
    '08000000000000000109013ff0000000000000',
  )
  const partials = partialSerde(count().serde, { windowSizeMs: 10_000 })
  expect(hex(partials.write({ startMs: 3_000_000, records: 2, accumulator: 2 }))).toBe('01ac02020000000000000002')
})

test('a partial comes back through its bytes', () => {
  const serde = partialSerde(count().serde, { windowSizeMs: 10_000 })
  const partial = { startMs: 1_763_731_200_000, records: 70_000, accumulator: 70_000 }
  const bytes = serde.write(partial)
  expect(serde.read(bytes, 0, bytes.length)).toEqual(partial)
})

test('refuses bytes that are cut off or of another version', () => {
  expect(() => count().serde.read(Buffer.alloc(7), 0, 7)).toThrow('8 bytes, not 7')
  expect(() => sum().serde.read(Buffer.alloc(9), 0, 9)).toThrow('8 bytes, not 9')
  expect(() => mean().serde.read(Buffer.alloc(5), 0, 5)).toThrow('8 bytes, not 4')
  expect(() => all.serde.read(Buffer.from([8, 0]), 0, 2)).toThrow('passes the end by 7')
  expect(() => combine()({ one: count() }).serde.read(Buffer.alloc(10, 8), 0, 10)).toThrow('1 bytes follow')
  expect(() => partialSerde(count().serde, { windowSizeMs: 1 }).read(Buffer.from([9]), 0, 1)).toThrow('not 9')
})

test('a combination cannot be merged when one of its parts cannot', () => {
  const { merge: _, ...unmergeable } = count()
  expect(combine()({ one: count(), two: unmergeable }).merge).toBeUndefined()
})

test('the version of a combination rises with the versions of its parts', () => {
  expect(all.version).toBe(1)
  expect(combine()({ one: { ...count(), version: 3 }, two: { ...count(), version: 2 } }).version).toBe(4)
})
