import { expect, it } from 'vitest'
import { reasonOf } from './score-reporter.ts'

it('a reason has the lines that differ, and the cause, and no stack', () => {
  const diff =
    '\u001b[32m- Expected\u001b[39m\n\u001b[31m+ Received\u001b[39m\n\n  {\n-   "count": 3,\n+   "count": 2,\n  }'
  const cause = { name: 'Caused by: Error', message: 'mvn ended\n    at somewhere' }
  expect(reasonOf({ name: 'AssertionError', message: 'expected { …(1) } to deeply equal { …(1) }', diff, cause })).toBe(
    'AssertionError: expected { …(1) } to deeply equal { …(1) }: -   "count": 3, +   "count": 2, Caused by: Error: mvn ended',
  )
})
