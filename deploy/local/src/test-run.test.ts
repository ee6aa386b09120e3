import { expect, it } from 'vitest'
import { scoreOf, sum } from './test-run.ts'

it('scoreOf says for each failure where it was and why, on one line', () => {
  const failures = [
    { file: '/home/p/b.test.ts', test: 'b takes away', reason: '\u001b[31mAssertionError: 2 is not 1\u001b[39m' },
    { file: '/home/p/c.test.ts', test: '', reason: 'Error: Cannot find module d\n\nWanted by:  c' },
    { file: '', test: '', reason: 'unhandled: Error: nobody waited' },
  ]
  expect(scoreOf({ passed: 7, failures }, '/home/p')).toEqual({
    passed: 7,
    failures: [
      'b.test.ts: b takes away: AssertionError: 2 is not 1',
      'c.test.ts: Error: Cannot find module d Wanted by: c',
      'unhandled: Error: nobody waited',
    ],
  })
})

it('scoreOf keeps begin and end of a long reason', () => {
  const reason = `Error: ended${' and warned'.repeat(200)} because of this`
  const score = scoreOf({ passed: 0, failures: [{ file: '/a.test.ts', test: '', reason }] }, '/')
  expect(score.failures).toEqual([expect.stringMatching(/^a\.test\.ts: Error: ended.{500,600} because of this$/)])
})

it('sum adds up', () => {
  expect(
    sum([
      { passed: 1, failures: [] },
      { passed: 20, failures: ['a', 'b'] },
    ]),
  ).toEqual({ passed: 21, failures: ['a', 'b'] })
})
