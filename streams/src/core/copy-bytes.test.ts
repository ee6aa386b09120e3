import { expect, it } from 'vitest'
import { copyBytes } from './copy-bytes.ts'

const from = Buffer.from(Array.from({ length: 200 }, (_, at) => at))

it.each([0, 1, 47, 48, 49, 150])('copies %i bytes to their place, and touches no others', (length) => {
  const to = Buffer.alloc(200, 255)
  expect(copyBytes(from, to, 7, 30, 30 + length)).toBe(7 + length)
  const expected = Buffer.concat([
    Buffer.alloc(7, 255),
    from.subarray(30, 30 + length),
    Buffer.alloc(193 - length, 255),
  ])
  expect(to).toEqual(expected)
})

it('copies all when it is told no range, and nothing of an end before the start', () => {
  const to = Buffer.alloc(200, 255)
  expect(copyBytes(from, to, 0)).toBe(200)
  expect(to).toEqual(from)
  expect(copyBytes(Buffer.from([9]), to, 5, 3, 2)).toBe(5)
  expect(to).toEqual(from)
})
