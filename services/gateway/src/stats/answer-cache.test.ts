import { describe, expect, it } from 'vitest'
import { statsAnswersCharsMax } from '../limits.ts'
import { AnswerCache } from './answer-cache.ts'

describe('answers that are kept', () => {
  it('are good for the version that they were made of', () => {
    const cache = new AnswerCache()
    cache.set('q', 1, 'one')
    expect([cache.get('q', 1), cache.get('q', 2), cache.get('r', 1)]).toEqual(['one', undefined, undefined])
    cache.set('r', 2, 'two')
    expect([cache.get('r', 2), cache.get('q', 2), cache.get('q', 1)]).toEqual(['two', undefined, undefined])
  })

  it('are bounded by their length', () => {
    const cache = new AnswerCache()
    const half = 'x'.repeat(statsAnswersCharsMax / 2 - 1)
    cache.set('a', 1, half)
    cache.set('b', 1, half)
    expect([cache.get('a', 1), cache.get('b', 1)]).toEqual([half, half])
    cache.set('c', 1, 'more')
    expect([cache.get('a', 1), cache.get('c', 1)]).toEqual([undefined, 'more'])
    cache.set('d', 1, half + half + half)
    expect(cache.get('d', 1)).toBeUndefined()
  })
})
