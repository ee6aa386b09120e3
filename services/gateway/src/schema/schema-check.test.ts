import { Type } from 'typebox'
import { expect, it } from 'vitest'
import { problemFaultsMax } from '../limits.ts'
import { compileCheck } from './schema-check.ts'

const { check, faults } = compileCheck(Type.Object({ name: Type.String() }, { additionalProperties: false }))

it.each([1, problemFaultsMax - 1, problemFaultsMax, problemFaultsMax * 3])('tells of %i unknown fields', (count) => {
  const unknown = Object.fromEntries(Array.from({ length: count }, (_, i) => [`a/${i}`, i]))
  const found = faults({ name: 'x', ...unknown }, { in: 'body', root: '/leads', unknownHint: ': drop it' })
  expect(check({ name: 'x', ...unknown })).toBe(false)
  expect(found).toHaveLength(Math.min(count, problemFaultsMax))
  expect(found[0]).toEqual({ in: 'body', pointer: '/leads/a~10', detail: 'is not a known field: drop it' })
})
