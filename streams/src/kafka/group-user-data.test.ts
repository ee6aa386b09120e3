import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GroupView } from '../core/broker.ts'
import { decodeDivision, decodeReport, encodeDivision, encodeReport, encodeView } from './group-user-data.ts'

const someNumbers = fc
  .uniqueArray(fc.nat(5_000), { maxLength: 12 })
  .map((numbers) => numbers.toSorted((one, other) => one - other))

const someReport = fc.record({
  endpoint: fc.option(fc.string()),
  warm: fc
    .option(fc.array(fc.tuple(fc.nat(5_000), fc.maxSafeNat()), { maxLength: 12 }), { nil: undefined })
    .map((pairs) => (pairs === undefined ? undefined : new Map(pairs))),
  standbys: someNumbers,
})

const someMember = fc.record({
  memberId: fc.string(),
  groupInstanceId: fc.option(fc.string()),
  endpoint: fc.option(fc.string()),
  partitions: fc
    .dictionary(fc.constantFrom('a', 'b-c', 'ü'), someNumbers, { noNullPrototype: true })
    .map((byTopic) =>
      Object.entries(byTopic).flatMap(([topic, numbers]) => numbers.map((partition) => ({ topic, partition }))),
    ),
  standbys: someNumbers,
})

const someView = fc.record({ generationId: fc.nat(), members: fc.array(someMember, { minLength: 1, maxLength: 4 }) })

const view: GroupView = {
  generationId: 300,
  members: [
    {
      memberId: 'm1',
      groupInstanceId: 'i',
      endpoint: 'http://h:1',
      partitions: [
        { topic: 'a', partition: 1 },
        { topic: 'a', partition: 4 },
        { topic: 'b', partition: 1 },
      ],
      standbys: [2],
    },
    { memberId: 'm2', groupInstanceId: null, endpoint: null, partitions: [], standbys: [] },
  ],
}

describe('user data of the group protocol', () => {
  it('brings reports back', () => {
    fc.assert(
      fc.property(someReport, (report) => {
        expect(decodeReport(encodeReport(report))).toEqual(report)
      }),
    )
  })

  it('brings divisions back', () => {
    fc.assert(
      fc.property(fc.boolean(), someNumbers, someView, (isComplete, standbys, some) => {
        const division = { isComplete, standbys, view: some }
        expect(decodeDivision(encodeDivision(isComplete, standbys, encodeView(some)))).toEqual(division)
      }),
    )
  })

  it('has the bytes of version 1', () => {
    const report = { endpoint: 'http://h:1', warm: new Map([[3, 300]]), standbys: [5, 7] }
    expect(encodeReport(report).toString('hex')).toBe(`01${'0b687474703a2f2f683a31'}${'02'}${'03ac02'}${'02'}${'0502'}`)
    expect(encodeReport({ endpoint: null, warm: undefined, standbys: [] }).toString('hex')).toBe('01000000')
    const [one, other] = [
      `026d31${'0269'}${'0b687474703a2f2f683a31'}${'02'}${'00020103'}${'010101'}${'0102'}`,
      '026d3200000000',
    ]
    expect(encodeDivision(true, [2], encodeView(view)).toString('hex')).toBe(
      `01${'01'}${'0102'}${'ac02'}${'02'}${'0161'}${'0162'}${'02'}${one}${other}`,
    )
  })

  it('says when the view was left out', () => {
    const bytes = encodeDivision(false, [1], encodeView({ generationId: 9, members: [] }))
    expect(decodeDivision(bytes)).toEqual({ isComplete: false, standbys: [1], view: undefined })
  })

  it('reads what a later version has appended to', () => {
    const report = { endpoint: null, warm: undefined, standbys: [1] }
    const bytes = Buffer.concat([encodeReport(report), Buffer.from('new')])
    bytes[0] = 2
    expect(decodeReport(bytes)).toEqual(report)
  })

  it('refuses bytes that are cut off, and those without a version', () => {
    const division = encodeDivision(true, [2], encodeView(view))
    for (let end = 0; end < division.length; end++)
      expect(() => decodeDivision(division.subarray(0, end))).toThrow(RangeError)
    const report = encodeReport({ endpoint: 'x', warm: new Map([[1, 2]]), standbys: [3] })
    for (let end = 0; end < report.length; end++)
      expect(() => decodeReport(report.subarray(0, end))).toThrow(RangeError)
    expect(() => decodeReport(Buffer.from([0, 0, 0, 0]))).toThrow(RangeError)
  })
})
