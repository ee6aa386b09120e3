import { expect, it } from 'vitest'
import { operandBytesMax, operandsMax } from './limits.ts'
import { Operands } from './operands.ts'

it('lends buffers of the right length, none of them twice before it was taken back', () => {
  const operands = new Operands()
  const used: Buffer[] = []
  const first = operands.copyOf(Buffer.from('one'), used)
  const second = operands.copyOf(Buffer.from('two'), used)
  const long = operands.take(operandBytesMax + 1, used)
  expect([first.toString(), second.toString(), long.length]).toEqual(['one', 'two', operandBytesMax + 1])
  expect(used).toEqual([first, second, long])
  operands.takeBack(used)
  const again = [operands.take(3, []), operands.take(3, []), operands.take(3, [])]
  expect(new Set(again).size).toBe(3)
  expect(again).toContain(first)
  expect(again).toContain(second)
  expect(operands.take(operandBytesMax + 1, [])).not.toBe(long)
  expect(operands.take(0, []).length).toBe(0)
})

it('keeps what the last write used when there is no room for more', () => {
  const operands = new Operands()
  const before: Buffer[] = []
  for (let count = 0; count < operandsMax; count++) operands.take(8, before)
  operands.takeBack(before)
  const used: Buffer[] = []
  const last = operands.take(24, used)
  operands.takeBack(used)
  expect(operands.take(24, [])).toBe(last)
})
