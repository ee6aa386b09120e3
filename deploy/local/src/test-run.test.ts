import { expect, it } from 'vitest'
import { scoreOf, sum } from './test-run.ts'

it('scoreOf counts tests, and a file that failed outside of its tests as one failure', () => {
  const score = scoreOf({
    numPassedTests: 7,
    numFailedTests: 1,
    testResults: [
      { status: 'passed', assertionResults: [{ status: 'passed' }] },
      { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] },
      { status: 'failed', assertionResults: [] },
    ],
  })
  expect(score).toEqual({ passed: 7, failed: 2 })
})

it('sum adds up', () => {
  expect(
    sum([
      { passed: 1, failed: 0 },
      { passed: 20, failed: 3 },
    ]),
  ).toEqual({ passed: 21, failed: 3 })
})
