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
        fc.option(fc.uint8Array()),
        (topics, owned, generationId, bytes) => {
          const userData = bytes === null ? null : Buffer.from(bytes)
          const back = decodeSubscription(encodeSubscription({ topics, owned, generationId, userData }))
          expect(back.topics).toEqual(topics)
          expect(byKey(back.owned)).toEqual(byKey(owned))
          expect(back.generationId).toBe(generationId)
          expect(back.userData).toEqual(userData)
          const assignment = decodeAssignment(encodeAssignment({ partitions: owned, userData }))
          expect(byKey(assignment.partitions)).toEqual(byKey(owned))
          expect(assignment.userData).toEqual(userData)
        },
      ),
    )
  })

  it('has the bytes that other clients read', () => {
    const subscription = { topics: ['t1'], owned: [{ topic: 't1', partition: 2 }], generationId: 7, userData: null }
    expect(encodeSubscription(subscription).toString('hex')).toBe(
      `0002${'00000001'}${'00027431'}${'ffffffff'}${'00000001'}${'00027431'}${'00000001'}${'00000002'}${'00000007'}`,
    )
    expect(encodeAssignment({ partitions: subscription.owned, userData: null }).toString('hex')).toBe(
      `0000${'00000001'}${'00027431'}${'00000001'}${'00000002'}${'ffffffff'}`,
    )
    expect(encodeAssignment({ partitions: subscription.owned, userData: Buffer.from('ab') }).toString('hex')).toBe(
      `0000${'00000001'}${'00027431'}${'00000001'}${'00000002'}${'00000002'}6162`,
    )
  })

  it('reads a subscription of version 0, and no assignment at all', () => {
    const old = Buffer.from(`0000${'00000001'}${'00027431'}${'ffffffff'}`, 'hex')
    expect(decodeSubscription(old)).toEqual({ topics: ['t1'], owned: [], generationId: -1, userData: null })
    expect(decodeAssignment(Buffer.alloc(0))).toEqual({ partitions: [], userData: null })
  })

  it('refuses bytes that are cut off', () => {
    const bytes = encodeAssignment({ partitions: [{ topic: 'topic', partition: 1 }], userData: Buffer.from('abc') })
    for (let end = 1; end < bytes.length; end++)
      expect(() => decodeAssignment(bytes.subarray(0, end))).toThrow(RangeError)
  })
})
