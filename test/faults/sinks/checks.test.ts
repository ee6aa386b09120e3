import { describe, expect, it } from 'vitest'
import {
  checkCommits,
  checkDuplicates,
  checkEvents,
  checkHistory,
  checkLeads,
  checkNoDeadLetters,
  checkOffsets,
  checkOutcomes,
  type ToldOutcome,
} from './checks.ts'

const duplicates = new Map([
  ['a', null],
  ['b', 'a'],
])
const sent = { events: 5, values: 9, metadataBytes: 20, leads: 2, duplicates }
const history = new Map([
  ['received', { rows: 2, leads: 2 }],
  ['stored', { rows: 2, leads: 2 }],
  ['duplicate', { rows: 1, leads: 1 }],
])
const leads = { rows: 2, ids: 2, nextOffsets: new Map([[0, 2]]), partitions: [], duplicates, history }
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
  expect(checkLeads(leads, sent, [2]).broken).toEqual([])
  expect(checkLeads({ ...leads, rows: 3 }, sent, [2]).broken).toEqual(['rows: 3, not 2'])
  expect(checkLeads(leads, sent, [2, 1]).broken).toEqual(['stored offset of partition 1: 0, not 1'])
})

it('checkDuplicates notices a lead that is lost, and one of another person', () => {
  expect(checkDuplicates(leads, sent).broken).toEqual([])
  expect(checkDuplicates({ ...leads, duplicates: new Map([['a', null]]) }, sent).broken).toHaveLength(1)
  expect(checkDuplicates({ ...leads, duplicates: new Map([...duplicates, ['b', 'c']]) }, sent).broken).toHaveLength(1)
})

it('checkHistory notices steps that are missing, twice, or of another kind', () => {
  const brokenWith = (status: string, rows: number, of: number) =>
    checkHistory({ ...leads, history: new Map([...history, [status, { rows, leads: of }]]) }, sent).broken
  expect(checkHistory(leads, sent).broken).toEqual([])
  expect(brokenWith('stored', 3, 2)).toEqual(['rows "stored": 3, not 2'])
  expect(brokenWith('duplicate', 0, 0)).toHaveLength(2)
  expect(brokenWith('rejected', 1, 1)).toHaveLength(2)
})

describe('checkOutcomes', () => {
  const stored: ToldOutcome = { outcome: 'stored', duplicateOf: null, times: 1 }
  const duplicate: ToldOutcome = { outcome: 'duplicate', duplicateOf: 'a', times: 3 }
  const brokenOf = (told: Readonly<Record<string, readonly ToldOutcome[]>>) =>
    checkOutcomes(new Map(Object.entries(told)), sent).broken

  it('takes the same outcome as often as it comes', () => {
    expect(brokenOf({ a: [stored], b: [duplicate] })).toEqual([])
  })

  it('notices one that is missing, or wrong, or two that differ', () => {
    expect(brokenOf({ a: [stored] })).toHaveLength(2)
    expect(brokenOf({ a: [stored], b: [stored] })).toHaveLength(1)
    expect(brokenOf({ a: [stored], b: [duplicate, stored] })).toHaveLength(1)
    expect(brokenOf({ a: [stored], b: [duplicate], c: [stored] })).toHaveLength(1)
  })
})

it('checkCommits notices a group that is behind, and an intent that was left', () => {
  expect(checkCommits(new Map([[0, { offset: 5, metadata: '' }]]), [5]).broken).toEqual([])
  expect(checkCommits(new Map([[0, { offset: 4, metadata: '{"v":1}' }]]), [5]).broken).toHaveLength(2)
  expect(checkCommits(new Map(), [5]).broken).toHaveLength(1)
})

it('checkNoDeadLetters notices what is there', () => {
  expect(checkNoDeadLetters(new Map([['events.dlq', 0]])).broken).toEqual([])
  expect(checkNoDeadLetters(new Map([['events.dlq', 1]])).broken).toEqual(['records of events.dlq: 1, not 0'])
})
