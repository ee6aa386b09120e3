import { expect, it } from 'vitest'
import { ScratchBuffers } from './scratch-buffers.ts'

it('scratch buffers are the same for the same length, up to a bound', () => {
  const scratch = new ScratchBuffers()
  expect([0, 1, 1_024].map((length) => scratch.of(length).length)).toEqual([0, 1, 1_024])
  expect(scratch.of(24)).toBe(scratch.of(24))
  expect(scratch.of(24)).not.toBe(scratch.of(25))
  const long = scratch.of(1_025)
  expect(long.length).toBe(1_025)
  expect(scratch.of(1_025)).not.toBe(long)
})
