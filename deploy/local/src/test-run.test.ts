import { expect, it } from 'vitest'
import { scoreOf, sum } from './test-run.ts'

const passed = { status: 'passed', fullName: 'adds' }

it('scoreOf names the tests that failed, and a file that failed outside of its tests as one failure', () => {
  const score = scoreOf(
    {
      numPassedTests: 7,
      testResults: [
        { name: '/home/p/a.test.ts', status: 'passed', message: '', assertionResults: [passed] },
        {
          name: '/home/p/b.test.ts',
          status: 'failed',
          message: '',
          assertionResults: [
            passed,
            {
              status: 'failed',
              fullName: 'b takes away',
              failureMessages: ['\u001b[31mAssertionError: 2 is not 1\u001b[39m\n    at b.test.ts:3'],
            },
          ],
        },
        {
          name: '/home/p/c.test.ts',
          status: 'failed',
          message: 'Cannot find module d\n\nWanted by:  c\n    at c',
          assertionResults: [],
        },
      ],
    },
    '/home/p',
  )
  expect(score).toEqual({
    passed: 7,
    failures: ['b.test.ts: b takes away: AssertionError: 2 is not 1', 'c.test.ts: Cannot find module d Wanted by: c'],
  })
})

it('scoreOf keeps begin and end of a long reason', () => {
  const message = `Error: ended${' and warned'.repeat(200)} because of this`
  const score = scoreOf(
    { numPassedTests: 0, testResults: [{ name: '/a.test.ts', status: 'failed', message, assertionResults: [] }] },
    '/',
  )
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
