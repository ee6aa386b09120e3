import type { OutgoingRecord } from '@millrace/streams'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../test/faulty-files.ts'
import {
  decodeEntry,
  decodeSegmentHeader,
  encodeEntry,
  encodeSegmentHeader,
  entryAt,
  entryBytes,
  nextEntry,
  type SpillDraft,
  segmentHeaderBytes,
} from './spill-format.ts'

const logId = '00112233-4455-6677-8899-aabbccddeeff'

describe('a segment header', () => {
  it('has these bytes', () => {
    const bytes = encodeSegmentHeader({ logId, firstSequence: 258 })
    expect(bytes.toString('hex')).toBe('4d525350494c4c3100112233445566778899aabbccddeeff0000000001023c8c0305')
    expect(bytes).toHaveLength(segmentHeaderBytes)
    expect(decodeSegmentHeader(bytes)).toEqual({ logId, firstSequence: 258 })
  })

  it('is told from anything else', () => {
    const bytes = encodeSegmentHeader({ logId, firstSequence: 7 })
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(decodeSegmentHeader(changed)).toBeUndefined()
    }
    expect(decodeSegmentHeader(bytes.subarray(0, 20))).toBeUndefined()
  })
})

describe('an entry', () => {
  const draft: SpillDraft = {
    topic: 't',
    records: [{ topic: 't', partition: 3, timestamp: 1.5, key: Buffer.from('k'), value: null }],
    floors: [9],
  }

  it('has these bytes', () => {
    expect(encodeEntry(draft, 5).toString('hex')).toBe(
      [
        '4d525345',
        'ad8edd2e',
        '00000026',
        '000000000005',
        '0001',
        '74',
        '0001',
        '00000001',
        '0000000000000009',
        '00000003',
        '3ff8000000000000',
        '00000001',
        'ffffffff',
        '0000',
        '6b',
      ].join(''),
    )
  })

  it('comes back as it went in, whatever it holds', () => {
    const random = seeded(1)
    const buffer = () => (random() < 0.2 ? null : Buffer.alloc(Math.floor(random() * 300), 'ü'))
    for (let round = 0; round < 300; round++) {
      const topic = 'ü'.repeat(1 + Math.floor(random() * 9))
      const records: OutgoingRecord[] = Array.from({ length: Math.floor(random() * 5) }, () => ({
        topic,
        partition: Math.floor(random() * 1e9),
        timestamp: Math.floor(random() * 2e12),
        key: buffer(),
        value: buffer(),
        headers: Array.from({ length: Math.floor(random() * 3) }, () => ({ key: 'näme', value: buffer() })),
      }))
      const floors = random() < 0.5 ? undefined : [0, Math.floor(random() * 2 ** 50)]
      const given = floors === undefined ? { topic, records } : { topic, records, floors }
      const sequence = Math.floor(random() * 2 ** 47)
      const bytes = encodeEntry(given, sequence)
      expect(bytes).toHaveLength(entryBytes(given))
      const place = entryAt(Buffer.concat([Buffer.from('xyz'), bytes, Buffer.from('behind')]), 3)
      expect(place).toEqual({ sequence, start: 3, end: 3 + bytes.length })
      if (place !== undefined) {
        const read = decodeEntry(Buffer.concat([Buffer.from('xyz'), bytes]), place)
        expect(read).toEqual({ ...given, sequence, bytes: bytes.length })
      }
    }
  })

  it('is no entry with any bit changed, or cut at any place', () => {
    const bytes = encodeEntry(draft, 5)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(entryAt(changed, 0)).toBeUndefined()
    }
    for (let size = 0; size < bytes.length; size++) expect(entryAt(bytes.subarray(0, size), 0)).toBeUndefined()
  })

  it('is found again behind anything', () => {
    const bytes = Buffer.concat([Buffer.from('MRSE and no entry MRS'), encodeEntry(draft, 5)])
    expect(nextEntry(bytes, 0)).toMatchObject({ sequence: 5, start: 21 })
    expect(nextEntry(bytes, 22)).toBeUndefined()
  })
})
