import { describe, expect, it } from 'vitest'
import { checkAnswers, checkKnown, checkLatency, checkLost, checkMemory, checkOrder, checkTwice } from './checks.ts'
import type { FoundItem } from './found-records.ts'
import { answerMsMax } from './limits.ts'
import { idOf, type Outcome, readId, type SentRequest } from './requests.ts'

function request(first: number, outcome: Outcome = 'kafka', change: Partial<SentRequest> = {}): SentRequest {
  return { client: 'c', kind: 'array', first, count: 2, startedMs: 1_000, tookMs: 5, outcome, ...change }
}

function found(numbers: readonly number[], client = 'c'): FoundItem[] {
  return numbers.map((number, offset) => ({ id: idOf(client, number), client, number, partition: 1, offset }))
}

it('reads ids back', () => {
  expect(readId(idOf('single-7', 12))).toEqual({ client: 'single-7', number: 12 })
  expect(readId('somebody@example.com')).toBeUndefined()
})

describe('what is lost, there twice, or of nobody', () => {
  it('misses only what was acknowledged', () => {
    const sent = [request(0), request(2, 'spooled'), request(4, 'lost'), request(6, 'refused 503 SPILL_UNAVAILABLE')]
    expect(checkLost('', sent, found([0, 1, 2, 3])).broken).toEqual([])
    expect(checkLost('', sent, found([0, 2, 3])).broken).toEqual([
      `${idOf('c', 1)} was answered with "kafka" and is not there`,
    ])
    expect(checkLost('', sent, []).broken).toHaveLength(4)
  })

  it('finds copies, also of what nobody was told of', () => {
    expect(checkTwice('', found([0, 1])).broken).toEqual([])
    expect(checkTwice('', found([0, 1, 0])).broken).toEqual([`${idOf('c', 0)} is at 1/0 and at 1/2`])
  })

  it('finds what was not sent', () => {
    expect(checkKnown('', [request(0, 'lost')], found([0, 1])).broken).toEqual([])
    expect(checkKnown('', [request(0)], found([2])).broken).toHaveLength(1)
    expect(checkKnown('', [request(0)], found([0], 'd')).broken).toHaveLength(1)
  })
})

describe('the order of a user', () => {
  it('is that of the acknowledged requests', () => {
    const sent = [request(0), request(2, 'lost'), request(4, 'spooled')]
    expect(checkOrder('', sent, found([0, 1, 4, 5, 2, 3])).broken).toEqual([])
    expect(checkOrder('', sent, found([0, 4, 1])).broken).toHaveLength(1)
    expect(checkOrder('', sent, found([1, 0])).broken).toHaveLength(1)
  })

  it('is lost between partitions', () => {
    const elsewhere = { ...found([1])[0], partition: 2 } as FoundItem
    expect(checkOrder('', [request(0)], [...found([0]), elsewhere]).broken).toHaveLength(1)
  })
})

describe('answers', () => {
  const brokenOf = (sent: readonly SentRequest[], down = { fromMs: 5_000, toMs: 9_000 }) =>
    checkAnswers(sent, [down]).map(({ broken }) => broken.length)

  it('come in time, say 202, and come at all unless nobody listens', () => {
    expect(brokenOf([request(0)])).toEqual([0, 0, 0])
    expect(brokenOf([request(0, 'kafka', { tookMs: answerMsMax + 1 })])).toEqual([1, 0, 0])
    expect(brokenOf([request(0, 'hung')])).toEqual([1, 0, 0])
    expect(brokenOf([request(0, 'refused 503 KAFKA_UNAVAILABLE')])).toEqual([0, 1, 0])
    expect(brokenOf([request(0, 'refused 503 OVERLOADED')])).toEqual([0, 0, 0])
    expect(brokenOf([request(0, 'lost')])).toEqual([0, 0, 1])
    expect(brokenOf([request(0, 'lost', { startedMs: 6_000 })])).toEqual([0, 0, 0])
  })

  it('become as quick again as they were', () => {
    const calms = [
      { after: 'nothing', fromMs: 0, toMs: 10 },
      { after: 'an outage', fromMs: 10, toMs: 20 },
    ]
    const both = (ms: number) => [
      request(0, 'kafka', { startedMs: 1, tookMs: 100 }),
      request(2, 'kafka', { startedMs: 11, tookMs: ms }),
    ]
    expect(checkLatency(both(400), calms).broken).toEqual([])
    expect(checkLatency(both(600), calms).broken).toHaveLength(1)
    expect(checkLatency(both(100).slice(0, 1), calms).broken, 'no answer at all').toHaveLength(1)
  })
})

it('bounds the growth of memory', () => {
  expect(checkMemory(100, 150, 50).broken).toEqual([])
  expect(checkMemory(100, 151, 50).broken).toHaveLength(1)
})
