import { globSync } from 'node:fs'
import { expect, it } from 'vitest'
import { type AttackReport, attacks, isWhole, scoreLines, scoresOf } from './attack-report.ts'

const passed = (title: string) => ({ status: 'passed', title, ancestorTitles: ['S01 giant bodies'] })
const file = (name: string, status: string, assertionResults: AttackReport['testResults'][0]['assertionResults']) => ({
  name: `/checkout/test/security/${name}`,
  status,
  assertionResults,
})

it('has a file for every attack, and no other numbers', () => {
  const files = globSync('s[0-9][0-9]-*.test.ts', { cwd: import.meta.dirname })
  expect(files.map((name) => name.slice(0, 3).toUpperCase()).sort()).toEqual([...attacks])
})

it('counts tests and proofs by attack', () => {
  const report = { testResults: [file('s01-a.test.ts', 'passed', [passed('is refused'), passed('proof: it is not')])] }
  const scores = scoresOf(report, ['S01'])
  expect(scores).toEqual([{ attack: 'S01', title: 'giant bodies', passed: 2, failed: 0, proofs: 1 }])
  expect(isWhole(scores)).toBe(true)
  expect(scoreLines(scores)[0]).toMatch(/S01 {2}passed .*2 passed, 0 failed, 1 of them proofs/)
})

it.each([
  ['a test that failed', [file('s01-a.test.ts', 'failed', [passed('a'), { ...passed('b'), status: 'failed' }])]],
  ['a file that failed before its tests', [file('s01-a.test.ts', 'failed', [])]],
  ['an attack that was not tried', [file('s02-b.test.ts', 'passed', [passed('a')])]],
  ['tests that were skipped', [file('s01-a.test.ts', 'passed', [{ ...passed('a'), status: 'pending' }])]],
])('is not whole with %s', (_, testResults) => {
  expect(isWhole(scoresOf({ testResults }, ['S01']))).toBe(false)
})
