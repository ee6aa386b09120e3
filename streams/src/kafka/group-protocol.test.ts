import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './group-protocol.ts'

const somePartitions = fc.array(fc.record({ topic: fc.constantFrom('a', 'b-c', 'ü'), partition: fc.nat(1000) }), {
  maxLength: 20,
})

function byKey(partitions: readonly { readonly topic: string; readonly partition: number }[]): readonly string[] {
  return partitions.map(({ topic, partition }) => `${topic}/${partition}`).sort()
}

describe('the consumer protocol', () => {
  it('brings subscriptions and assignments back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string()),
        somePartitions,
        fc.integer({ min: -1, max: 2 ** 31 - 1 }),
        (topics, owned, generationId) => {
          const back = decodeSubscription(encodeSubscription({ topics, owned, generationId }))
          expect(back.topics).toEqual(topics)
          expect(byKey(back.owned)).toEqual(byKey(owned))
          expect(back.generationId).toBe(generationId)
          expect(byKey(decodeAssignment(encodeAssignment(owned)))).toEqual(byKey(owned))
        },
      ),
    )
  })

  it('has the bytes that other clients read', () => {
    const subscription = { topics: ['t1'], owned: [{ topic: 't1', partition: 2 }], generationId: 7 }
    expect(encodeSubscription(subscription).toString('hex')).toBe(
      `0002${'00000001'}${'00027431'}${'ffffffff'}${'00000001'}${'00027431'}${'00000001'}${'00000002'}${'00000007'}`,
    )
    expect(encodeAssignment(subscription.owned).toString('hex')).toBe(
      `0000${'00000001'}${'00027431'}${'00000001'}${'00000002'}${'ffffffff'}`,
    )
  })

  it('reads a subscription of version 0, and no assignment at all', () => {
    const old = Buffer.from(`0000${'00000001'}${'00027431'}${'ffffffff'}`, 'hex')
    expect(decodeSubscription(old)).toEqual({ topics: ['t1'], owned: [], generationId: -1 })
    expect(decodeAssignment(Buffer.alloc(0))).toEqual([])
  })

  it('refuses bytes that are cut off', () => {
    const bytes = encodeAssignment([{ topic: 'topic', partition: 1 }])
    for (let end = 1; end < bytes.length - 4; end++)
      expect(() => decodeAssignment(bytes.subarray(0, end))).toThrow(RangeError)
  })
})
