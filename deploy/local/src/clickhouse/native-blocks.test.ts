import { describe, expect, it } from 'vitest'
import { nativeFor } from './native-blocks.ts'

const text = (value: string) => Buffer.concat([Buffer.from([Buffer.byteLength(value)]), Buffer.from(value)])
const uint64 = (...values: readonly number[]) => {
  const bytes = Buffer.alloc(values.length * 8)
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), i * 8)
  return bytes
}
const zeros = (length: number) => Buffer.alloc(length)

interface Column {
  readonly type: string
  readonly data: Buffer
}

/** One block, as revision 0 has it, or with what later revisions put before the block and before each column's data. */
function block(
  columns: readonly Column[],
  rows: number,
  info: Buffer = Buffer.alloc(0),
  serialization: Buffer = info,
): Buffer {
  const parts = [info, Buffer.from([columns.length, rows])]
  for (const { type, data } of columns) parts.push(text('c'), text(type), serialization, data)
  return Buffer.concat(parts)
}
const info = Buffer.from([1, 0, 2, 255, 255, 255, 255, 0])
const plain = Buffer.from([0])

const strings = (...values: readonly string[]) => Buffer.concat(values.map(text))
/** Flags: 8-bit indexes, keys of its own, one dictionary for each block. */
const dictionary = (keys: Buffer, count: number, indexes: readonly number[]) =>
  Buffer.concat([uint64(0x600, count), keys, uint64(indexes.length), Buffer.from(indexes)])

/** Two rows of each type. */
const columns: readonly Column[] = [
  { type: 'UInt8', data: zeros(2) },
  { type: 'Int256', data: zeros(64) },
  { type: 'Bool', data: zeros(2) },
  { type: 'UUID', data: zeros(32) },
  { type: "DateTime64(3, 'Europe/Berlin')", data: zeros(16) },
  { type: 'IntervalDay', data: zeros(16) },
  { type: 'Decimal(9, 2)', data: zeros(8) },
  { type: 'Decimal(18, 2)', data: zeros(16) },
  { type: 'Decimal(38, 2)', data: zeros(32) },
  { type: 'Decimal(76, 2)', data: zeros(64) },
  { type: 'FixedString(3)', data: zeros(6) },
  { type: "Enum8('a, (b)' = 1, 'it\\'s' = 2)", data: zeros(2) },
  { type: "Enum16('x' = 1000)", data: zeros(4) },
  { type: 'String', data: strings('a', '') },
  { type: 'Nullable(Nothing)', data: zeros(4) },
  { type: 'Nullable(String)', data: Buffer.concat([Buffer.from([0, 1]), strings('a', '')]) },
  { type: 'Array(String)', data: Buffer.concat([uint64(1, 3), strings('a', 'b', 'c')]) },
  { type: 'Array(Array(UInt16))', data: Buffer.concat([uint64(0, 2), uint64(1, 4), zeros(8)]) },
  { type: 'Array(Nothing)', data: uint64(0, 0) },
  { type: 'Map(String, UInt8)', data: Buffer.concat([uint64(2, 3), strings('a', 'b', 'c'), zeros(3)]) },
  { type: 'Tuple(UInt8, String)', data: Buffer.concat([zeros(2), strings('a', 'b')]) },
  { type: 'Tuple(a UInt8, `b, (c` Array(String))', data: Buffer.concat([zeros(2), uint64(0, 1), strings('b')]) },
  { type: 'Nested(a UInt8, b String)', data: Buffer.concat([uint64(1, 1), zeros(1), strings('b')]) },
  { type: 'SimpleAggregateFunction(sum, UInt64)', data: zeros(16) },
  { type: 'Polygon', data: Buffer.concat([uint64(1, 1), uint64(2), zeros(32)]) },
  { type: 'LowCardinality(String)', data: Buffer.concat([uint64(1), dictionary(strings('', 'x'), 2, [1, 1])]) },
  {
    type: 'LowCardinality(Nullable(String))',
    data: Buffer.concat([uint64(1), dictionary(strings('', 'x'), 2, [0, 1])]),
  },
  {
    type: 'Map(LowCardinality(String), Array(Nullable(UInt16)))',
    data: Buffer.concat([
      uint64(1),
      uint64(0, 2),
      dictionary(strings('', 'k'), 2, [1, 1]),
      uint64(1, 3),
      Buffer.from([0, 1, 0]),
      zeros(6),
    ]),
  },
  // In two parts, as columns of very many rows may come.
  {
    type: 'LowCardinality(UInt32)',
    data: Buffer.concat([uint64(1), dictionary(zeros(4), 1, [0]), dictionary(zeros(4), 1, [0])]),
  },
]

describe('nativeFor', () => {
  it.each(columns)('finds the end of a column of $type', ({ type, data }) => {
    const both = [
      { type, data },
      { type: 'UInt8', data: Buffer.from([7, 8]) },
    ]
    expect(nativeFor(block(both, 2), 54_460)).toEqual(block(both, 2, info, plain))
  })

  it('goes from block to block, and passes those without rows', () => {
    const blocks = (...put: readonly Buffer[]) =>
      Buffer.concat([block(columns.slice(0, 3), 2, ...put), block([{ type: 'String', data: zeros(0) }], 0, ...put)])
    expect(nativeFor(blocks(), 54_460)).toEqual(blocks(info, plain))
    expect(nativeFor(Buffer.alloc(0), 54_460)).toHaveLength(0)
  })

  it('puts in what the revision has, and no more', () => {
    const bytes = block(columns, 2)
    expect(nativeFor(bytes, 0)).toBe(bytes)
    expect(nativeFor(bytes, 54_000)).toEqual(block(columns, 2, info, Buffer.alloc(0)))
  })

  it('refuses columns whose length it cannot tell, by their type', () => {
    const json = block([{ type: 'JSON(max_dynamic_paths=8)', data: zeros(9) }], 1)
    expect(() => nativeFor(json, 54_460)).toThrow('type JSON(max_dynamic_paths=8)')
  })

  it('never reads past the end', () => {
    const bytes = block(columns, 2)
    expect(() => nativeFor(bytes.subarray(0, -1), 54_460)).toThrow(RangeError)
  })
})
