import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../core/limits.ts'
import { type CommitMetadata, decodeCommitMetadata, encodeCommitMetadata, nodeHash } from './commit-metadata.ts'

const empty: CommitMetadata = { streamTimeMs: -1, written: undefined, writers: [], times: new Map() }

test('bytes are as drawn', () => {
  const hex = (metadata: CommitMetadata): string =>
    Buffer.from(encodeCommitMetadata(metadata), 'base64').toString('hex')
  expect(hex(empty)).toBe('4d0000000000')
  expect(
    hex({
      streamTimeMs: 299,
      written: { streamTimeMs: 9, idle: true },
      writers: [
        { subtopology: 0, partition: 1, streamTimeMs: 299, idle: false },
        { subtopology: 0, partition: 2, streamTimeMs: 301, idle: true },
      ],
      times: new Map([[nodeHash('a'), [4, -1]]]),
    }),
  ).toBe(['4d', 'ac02', '16', '02', 'ac02', '000100', '000205', '01', 'e40c292c', '02', '05', '00'].join(''))
})

test('what is encoded is decoded again', () => {
  const time = fc.integer({ min: -1, max: 4_102_444_800_000 })
  const small = fc.nat(500)
  const metadata = fc.record({
    streamTimeMs: time,
    written: fc.option(fc.record({ streamTimeMs: time, idle: fc.boolean() }), { nil: undefined }),
    writers: fc.array(fc.record({ subtopology: small, partition: small, streamTimeMs: time, idle: fc.boolean() })),
    times: fc
      .array(fc.tuple(fc.nat(2 ** 32 - 1), fc.array(time, { maxLength: 2 })), { maxLength: 20 })
      .map((entries) => new Map(entries)),
  })
  fc.assert(
    fc.property(metadata, (one) => {
      expect(decodeCommitMetadata(encodeCommitMetadata(one))).toEqual(one)
    }),
  )
})

describe('what cannot be read is unknown, never a crash', () => {
  test.each([
    '',
    '!',
    'AgAAAAAA',
    'TQ==',
    'TQAAAAAAAA==',
    'AA',
    'AQAAAAAA',
    'Av/////////+',
    'An//////////',
    '/////////////////w==',
  ])('%s', (text) => {
    expect(decodeCommitMetadata(text)).toBeUndefined()
  })

  test('any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String({ maxLength: 400 })), (text) => {
        const decoded = decodeCommitMetadata(text)
        if (decoded !== undefined) expect(decoded.streamTimeMs).toBeGreaterThanOrEqual(-1)
      }),
      { numRuns: 500 },
    )
  })
})

test.each([
  // new TopicPartitionMetadata(1_763_731_200_000L, new ProcessorMetadata()).encode() of Kafka Streams 4.1, and one with a processor's time.
  ['AgAAAZqmklgA', 1_763_731_200_000],
  ['AgAAAZqmklgAAAAAAQAAAAlsYXN0LWVtaXQAAAGappFtoA==', 1_763_731_200_000],
  ['Av//////////', -1],
])("the time of Kafka Streams' own metadata is taken: %s", (text, streamTimeMs) => {
  expect(decodeCommitMetadata(text)).toEqual({ ...empty, streamTimeMs })
})

test('fits the broker with as many writers and nodes as are allowed', () => {
  const text = encodeCommitMetadata({
    streamTimeMs: 4_102_444_800_000,
    written: { streamTimeMs: 4_102_444_800_000, idle: true },
    writers: Array.from({ length: limits.watermarkWritersMax }, (_, partition) => ({
      subtopology: 3,
      partition,
      streamTimeMs: 1_763_731_200_000 + partition * 1_000_000,
      idle: false,
    })),
    times: new Map(
      Array.from({ length: limits.timedNodesMax }, (_, node) => [
        nodeHash(`node ${node}`),
        [4_102_444_800_000, 4_102_444_800_000],
      ]),
    ),
  })
  expect(text.length).toBeLessThanOrEqual(limits.commitMetadataBytesMax)
})
