import { describe, expect, it } from 'vitest'
import { isRecent, parseK6Version } from './k6.ts'

describe('the version of k6', () => {
  it.each([
    ['k6 v1.8.1 (go1.26.8, linux/amd64)', [1, 8]],
    ['k6 v0.57.0 (commit/50afd82c18, go1.23.6, linux/amd64)', [0, 57]],
    ['k6 v0.46.0', [0, 46]],
    ['something else', undefined],
  ])('is read from %j', (output, version) => {
    expect(parseK6Version(output)).toEqual(version)
  })

  it('must be one that reads TypeScript', () => {
    expect([isRecent([0, 56]), isRecent([0, 57]), isRecent([1, 0]), isRecent([2, 3]), isRecent(undefined)]).toEqual([
      false,
      true,
      true,
      true,
      false,
    ])
  })
})
