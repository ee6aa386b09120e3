import { describe, expect, it } from 'vitest'
import { checkFinals, checkGrowth, checkLiveReader, checkText, compareTables, lastResults } from './checks.ts'
import { differencesShown, graceMs, windowSizeMs } from './limits.ts'
import type { ReadRecord } from './topic-log.ts'
import { resultKey } from './topology.ts'

const firstMs = 1_000 * windowSizeMs
const key = resultKey('partials', 'click', firstMs)

function record(offset: number, count: number, of: { key?: string; final?: boolean } = {}): ReadRecord {
  return { offset, key: of.key ?? key, value: JSON.stringify({ count, sum: 10 * count, final: of.final ?? false }) }
}

describe('compareTables', () => {
  const table = (count: number, sum: number) => new Map([['click@0', { count, sum }]])
  const broken = (left: ReadonlyMap<string, { count: number; sum: number }>, right: typeof left) =>
    compareTables('', { name: 'left', table: left }, { name: 'right', table: right }).broken

  it('holds for equal tables', () => {
    expect(broken(table(1, 2), table(1, 2))).toEqual([])
  })

  it.each([
    ['a count', table(1, 2), table(2, 2), 'click@0: left has count 1 sum 2, right count 2 sum 2'],
    ['a sum', table(1, 2), table(1, 3), 'click@0: left has count 1 sum 2, right count 1 sum 3'],
    ['a window on the right', new Map(), table(1, 3), 'click@0: left has nothing, right count 1 sum 3'],
    ['a window on the left', table(1, 2), new Map(), 'click@0: left has count 1 sum 2, right nothing'],
  ])('finds %s that differs', (_, left, right, text) => {
    expect(broken(left, right)).toEqual([text])
  })
})

it('takes the last result of each window of one way', () => {
  const results = [[record(0, 1), record(1, 3)], [record(0, 7, { key: resultKey('records', 'click', firstMs) })]]
  expect(lastResults(results, 'partials').get(`click@${firstMs}`)).toMatchObject({ count: 3, sum: 30 })
  expect(lastResults(results, 'records').get(`click@${firstMs}`)).toMatchObject({ count: 7, sum: 70 })
})

it('finds a total that goes down', () => {
  expect(checkGrowth('', [[record(0, 1), record(1, 1), record(2, 3)]]).broken).toEqual([])
  expect(checkGrowth('', [[record(0, 3), record(4, 2)]]).broken).toEqual([
    `partition 0 offset 4: ${key} went from count 3 sum 30 to count 2 sum 20`,
  ])
})

describe('checkFinals', () => {
  const closedAtMs = firstMs + windowSizeMs + graceMs
  const final = (offset: number) => record(offset, 2, { final: true })

  it('holds for a window that is closed, final once and last', () => {
    expect(checkFinals([[record(0, 1), final(1)]], closedAtMs)).toMatchObject({
      broken: [],
      looked: '1 closed windows',
    })
  })

  it('holds for a window that is not closed and not final', () => {
    expect(checkFinals([[record(0, 1)]], closedAtMs - 1).broken).toEqual([])
  })

  it('finds a closed window that was never final', () => {
    expect(checkFinals([[record(0, 1)]], closedAtMs).broken).toEqual([`${key} is closed and was never final`])
  })

  it('finds a window that is final twice, or changes afterwards', () => {
    expect(checkFinals([[final(0), final(1)]], closedAtMs).broken).toHaveLength(1)
    expect(checkFinals([[final(0), record(1, 3)]], 0).broken).toHaveLength(1)
  })
})

describe('checkLiveReader', () => {
  const broken = (seen: readonly ReadRecord[], there: readonly ReadRecord[]) => checkLiveReader([seen], [there]).broken

  it('holds when the reader saw a beginning of the log', () => {
    expect(broken([record(0, 1), record(3, 2)], [record(0, 1), record(3, 2), record(5, 3)])).toEqual([])
    expect(broken([], [record(0, 1)])).toEqual([])
  })

  it('finds what was read and is gone', () => {
    const gone = `partition 0 offset 2: ${key} {"count":2,"sum":20,"final":false} was read and is gone`
    expect(broken([record(0, 1), record(2, 2), record(3, 2)], [record(0, 1), record(3, 2)])).toEqual([gone])
    expect(broken([record(0, 1), record(2, 2)], [record(0, 1)])).toEqual([gone])
  })

  it('finds what was read and is different', () => {
    expect(broken([record(0, 1), record(3, 9)], [record(0, 1), record(3, 2)])).toHaveLength(1)
  })

  it('finds what came to be before something that was read', () => {
    expect(broken([record(3, 2)], [record(0, 1), record(3, 2)])).toEqual([
      `partition 0 offset 0: ${key} is there and was passed over by the reader`,
    ])
  })

  it('finds what was read twice', () => {
    expect(broken([record(0, 1), record(0, 1)], [record(0, 1)])).toHaveLength(1)
  })
})

it('shows the first differences and how many there are', () => {
  const text = checkText({
    title: 'a',
    looked: 'b',
    broken: Array.from({ length: 20 }, (_, index) => `difference ${index}`),
  })
  expect(text.split('\n')).toHaveLength(differencesShown + 2)
  expect(text).toContain('BROKEN')
  expect(text).toContain('… 20 in all')
})
