import { describe, expect, it } from 'vitest'
import { AnswerCache } from './answer-cache.ts'

const keep = (cache: AnswerCache<string>, question: string, version: number, answer: string) =>
  cache.set(question, version, { answer, chars: answer.length })

describe('answers that are kept', () => {
  it('are good for the version that they were made of', () => {
    const cache = new AnswerCache<string>(100)
    keep(cache, 'q', 1, 'one')
    expect([cache.get('q', 1), cache.get('q', 2), cache.get('r', 1)]).toEqual(['one', undefined, undefined])
    keep(cache, 'r', 2, 'two')
    expect([cache.get('r', 2), cache.get('q', 2), cache.get('q', 1)]).toEqual(['two', undefined, undefined])
  })

  it('are bounded by their length', () => {
    const cache = new AnswerCache<string>(1_000)
    const half = 'x'.repeat(499)
    keep(cache, 'a', 1, half)
    keep(cache, 'b', 1, half)
    expect([cache.get('a', 1), cache.get('b', 1)]).toEqual([half, half])
    keep(cache, 'c', 1, 'more')
    expect([cache.get('a', 1), cache.get('c', 1)]).toEqual([undefined, 'more'])
    keep(cache, 'd', 1, half + half + half)
    expect(cache.get('d', 1)).toBeUndefined()
  })
})
