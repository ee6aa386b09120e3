import { describe, expect, it } from 'vitest'
import { checkEvents, checkLeads, checkNoDeadLetters, checkOffsets, checkOutcomes } from './checks.ts'

const sent = { events: 5, values: 9, metadataBytes: 20, leads: 2 }
const good = { partition: 0, rows: 5, offsets: 5, first: 0, last: 4 }

describe('checkEvents', () => {
  const stored = { rows: 5, ids: 5, values: 9, metadataBytes: 20, partitions: [] }

  it('takes what is exact', () => expect(checkEvents(stored, sent).broken).toEqual([]))

  it.each([
    [{ rows: 6 }, 'rows: 6, not 5'],
    [{ rows: 4, ids: 4 }, 'different event ids: 4, not 5'],
    [{ values: 8 }, 'sum of values: 8, not 9'],
    [{ metadataBytes: 21 }, 'bytes of metadata: 21, not 20'],
  ])('notices %j', (change, words) => {
    expect(checkEvents({ ...stored, ...change }, sent).broken).toContain(words)
  })
})

describe('checkOffsets', () => {
  it('takes a partition that is its log', () => expect(checkOffsets('', [good], [5]).broken).toEqual([]))
  it('takes an empty one', () => expect(checkOffsets('', [], [0]).broken).toEqual([]))

  it.each([
    [{ rows: 6 }, 'rows of partition 0: 6, not 5'],
    [{ offsets: 4 }, 'different offsets of partition 0: 4, not 5'],
    [{ first: 1 }, 'first offset of partition 0: 1, not 0'],
    [{ last: 5 }, 'last offset of partition 0: 5, not 4'],
  ])('notices %j', (change, words) => {
    expect(checkOffsets('', [{ ...good, ...change }], [5]).broken).toContain(words)
  })

  it('notices a partition that is missing', () => {
    expect(checkOffsets('', [good], [5, 3]).broken).toEqual(['partition 1 has no rows, and its log 3 records'])
  })
})

it('checkLeads notices rows too many, and an offset that stayed behind', () => {
  const stored = { rows: 2, ids: 2, nextOffsets: new Map([[0, 2]]), partitions: [] }
  expect(checkLeads(stored, sent, [2]).broken).toEqual([])
  expect(checkLeads({ ...stored, rows: 3 }, sent, [2]).broken).toEqual(['rows: 3, not 2'])
  expect(checkLeads(stored, sent, [2, 1]).broken).toEqual(['stored offset of partition 1: 0, not 1'])
})

it('checkOutcomes and checkNoDeadLetters notice what is missing and what is there', () => {
  expect(checkOutcomes(new Set(['a', 'b']), sent).broken).toEqual([])
  expect(checkOutcomes(new Set(['a']), sent).broken).toHaveLength(1)
  expect(checkNoDeadLetters(new Map([['events.dlq', 0]])).broken).toEqual([])
  expect(checkNoDeadLetters(new Map([['events.dlq', 1]])).broken).toEqual(['records of events.dlq: 1, not 0'])
})
