import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  keyOfWindowRow,
  windowChangelogKey,
  windowRowBound,
  windowRowKey,
  windowRowKeyOfChangelog,
  windowStartOfChangelog,
  windowStartOfRow,
} from './window-key.ts'

const startMs = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const key = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))

describe('window keys', () => {
  it('have the bytes that Kafka Streams writes', () => {
    const row = windowRowKey(Buffer.from('click'), 1_700_000_010_000)
    expect(row.toString('hex')).toBe('0000018bcfe58f10636c69636b00000000')
    expect(windowChangelogKey(row).toString('hex')).toBe('636c69636b0000018bcfe58f1000000000')
  })

  it('round-trip', () => {
    fc.assert(
      fc.property(key, startMs, (bytes, start) => {
        const row = windowRowKey(bytes, start)
        const changelog = windowChangelogKey(row)
        expect(windowStartOfRow(row)).toBe(start)
        expect(keyOfWindowRow(row).equals(bytes)).toBe(true)
        expect(windowStartOfChangelog(changelog)).toBe(start)
        expect(windowRowKeyOfChangelog(changelog).equals(row)).toBe(true)
        const within = Buffer.concat([Buffer.from('before'), changelog, Buffer.from('behind')])
        expect(windowRowKeyOfChangelog(within, { start: 6, end: within.length - 6 }).equals(row)).toBe(true)
      }),
    )
  })

  it('order by time first', () => {
    fc.assert(
      fc.property(key, startMs, key, startMs, (leftKey, leftStart, rightKey, rightStart) => {
        fc.pre(leftStart < rightStart)
        const left = windowRowKey(leftKey, leftStart)
        expect(Buffer.compare(left, windowRowKey(rightKey, rightStart))).toBe(-1)
        expect(Buffer.compare(windowRowBound(leftStart), left)).toBe(-1)
        expect(Buffer.compare(left, windowRowBound(rightStart))).toBe(-1)
      }),
    )
  })

  it('tell a changelog key that is too short', () => {
    expect(windowStartOfChangelog(Buffer.alloc(11))).toBeUndefined()
  })
})
