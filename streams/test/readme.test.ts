import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { StreamsError, streamsErrorCodes } from '../src/index.ts'

test('the table of error codes in the README is that of the code', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const rows = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (yes|no) +\| .+ \|$/gm)].map(([, code, retryable]) => [
    code,
    retryable,
  ])
  const codes = streamsErrorCodes.map((code) => [code, new StreamsError(code, '').retryable ? 'yes' : 'no'])
  expect(rows).toEqual(codes)
})
