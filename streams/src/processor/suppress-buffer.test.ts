import fc from 'fast-check'
import { expect, test } from 'vitest'
import { noHeaders } from '../core/record.ts'
import { type HeldChange, SuppressBuffer } from './suppress-buffer.ts'

function held(id: string, timeMs: number): HeldChange<string, number> {
  const row = { value: 1, old: null, final: false, timestamp: timeMs, headers: noHeaders }
  return { key: id, id, timeMs, ...row, bytes: 0, isChanged: false, isStored: false }
}

function inOrder(one: HeldChange<string, number>, other: HeldChange<string, number>): number {
  return one.timeMs - other.timeMs || (one.id < other.id ? -1 : 1)
}

test('changes leave by time, then by key, whatever the order in which they came', () => {
  // Null: one leaves.
  const steps = fc.array(fc.option(fc.record({ id: fc.string({ maxLength: 3 }), timeMs: fc.nat(10) }), { freq: 3 }))
  fc.assert(
    fc.property(steps, (all) => {
      const buffer = new SuppressBuffer<string, number>()
      let expected: HeldChange<string, number>[] = []
      for (const step of all) {
        if (step === null) {
          buffer.removeFirst()
          expected = expected.sort(inOrder).slice(1)
        } else if (buffer.get(step.id) === undefined) {
          const one = held(step.id, step.timeMs)
          buffer.add(one)
          expected.push(one)
        }
        expect(buffer.first()).toBe(expected.sort(inOrder)[0])
        expect(buffer.size).toBe(expected.length)
        for (const one of expected) expect(buffer.get(one.id)).toBe(one)
      }
      for (const one of expected.sort(inOrder)) {
        expect(buffer.first()).toBe(one)
        buffer.removeFirst()
        expect(buffer.get(one.id)).toBeUndefined()
      }
      expect(buffer.first()).toBeUndefined()
    }),
  )
})
