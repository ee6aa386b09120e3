import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { runCases } from './case-file.ts'

// How many cases of each file run, and how many need operators that the library does not have yet. Not one may fail.
it.each([
  ['named.json', { passed: 110, skipped: 105 }],
  ['random-seed-1.json', { passed: 58, skipped: 92 }],
])('%s gives what Kafka Streams gives', async (file, { passed, skipped }) => {
  const text = readFileSync(join(import.meta.dirname, 'cases', file), 'utf8')
  const result = await runCases(text)
  expect(result.failures).toEqual([])
  expect(result).toMatchObject({ passed, skipped })
})

const counting = [
  { id: 'stream1', op: 'stream', topic: 'in' },
  { id: 'groupByKey1', op: 'groupByKey', from: 'stream1' },
  { id: 'count1', op: 'count', from: 'groupByKey1', store: 'counts' },
  { id: 'toStream1', op: 'toStream', from: 'count1' },
  { id: 'to1', op: 'to', from: 'toStream1', topic: 'out' },
]
const inputs = [{ topic: 'in', key: 'k', value: 'v', ts: 5 }]
const right = {
  outputs: { out: [{ at: 0, key: 'k', value: 1, ts: 5 }] },
  stores: { counts: [{ key: 'k', value: 1, ts: 5 }] },
  dropped: 0,
}

async function firstDifference(expect: object, more: object = {}): Promise<string | undefined> {
  const { failures } = await runCases(JSON.stringify([{ name: 'one', topology: counting, inputs, expect, ...more }]))
  return failures[0]?.difference
}

it('says what the first difference is', async () => {
  expect(await firstDifference(right)).toBeUndefined()
  expect(await firstDifference({ ...right, dropped: 1 })).toBe('dropped: expected 1, got 0')
  expect(await firstDifference({ ...right, stores: {} })).toBe(
    'stores counts[0]: expected nothing more, got {"key":"k","value":1,"ts":5}',
  )
  expect(await firstDifference({ ...right, outputs: { out: [{ at: 0, key: 'k', value: 2, ts: 5 }] } })).toBe(
    'outputs out[0]: expected {"at":0,"key":"k","value":2,"ts":5}, got {"at":0,"key":"k","value":1,"ts":5}',
  )
  expect(await firstDifference({ ...right, error: { at: 0 } })).toBe('error: expected at input 0, got none')
  expect(await firstDifference({ ...right, error: { at: 'build' } })).toBe('error: expected at the build, got none')
  expect(await firstDifference({ ...right, queries: [[]] })).toBe('queries[0]: expected [], got nothing more')
})

it('accepts the corrected result, and not that of stores in memory', async () => {
  const wrong = { ...right, dropped: 7 }
  expect(await firstDifference(wrong, { variants: { corrected: { dropped: 0 } } })).toBeUndefined()
  expect(await firstDifference(wrong, { variants: { inMemory: { dropped: 0 } } })).toBe('dropped: expected 7, got 0')
  expect(await firstDifference(wrong, { variants: { corrected: { dropped: null } } })).toBeUndefined()
  const otherStore = { corrected: { dropped: 0, stores: { counts: null } } }
  expect(await firstDifference({ ...wrong, stores: { counts: [] } }, { variants: otherStore })).toBeUndefined()
})

it('counts cases with operators that are not there by operator, and fails those that are not as the format says', async () => {
  const joined = [...counting, { id: 'globalTable1', op: 'globalTable', topic: 'other' }]
  const wrong = [{ id: 'x', op: 'filter', from: 'nothing', where: true }]
  const cases = [joined, wrong].map((topology, i) => ({ name: `case ${i}`, topology, inputs, expect: right }))
  const result = await runCases(JSON.stringify(cases))
  expect(result.unsupported).toEqual(new Map([['globalTable', 1]]))
  expect(result.skipped).toBe(1)
  expect(result.failures).toEqual([
    { name: 'case 1', difference: 'case 1: topology[0]: there is no node "nothing" before it' },
  ])
})

it.each([
  ['[', 'it is not JSON'],
  ['{}', 'it must be an array of cases'],
  ['[]', 'it contains no case'],
  ['[{"name":"a"}]', 'a: "topology" must be an array, not null'],
])('refuses the file %s', async (text, message) => {
  await expect(runCases(text)).rejects.toThrow(message)
})
