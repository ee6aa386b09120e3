import { beforeEach, describe, expect, it } from 'vitest'
import { leadAnswerMsMax, leadAnswersCharsMax } from '../limits.ts'
import { LeadAnswers } from './lead-answers.ts'

let nowMs: number
let answers: LeadAnswers
let made: string[]
beforeEach(() => {
  nowMs = 5_000
  answers = new LeadAnswers(() => nowMs)
  made = []
})

const ask = (question: string, said: unknown = question) =>
  answers.read(question, async () => {
    made.push(question)
    return said
  })

describe('answers about leads', () => {
  it('are made once for all who ask the same within a second', async () => {
    const [first, second] = await Promise.all([ask('q'), ask('q')])
    expect(second).toBe(first)
    expect(first).toEqual({ text: '"q"', etag: expect.stringMatching(/^"[\w-]{22}"$/) })
    nowMs += leadAnswerMsMax - 1
    expect(await ask('q')).toBe(first)
    await ask('r')
    expect(made).toEqual(['q', 'r'])
    nowMs += 1
    expect(await ask('q')).toEqual(first)
    expect(made).toEqual(['q', 'r', 'q'])
  })

  it('have a tag that tells them apart', async () => {
    const one = await ask('q', 1)
    nowMs += leadAnswerMsMax
    const two = await ask('q', 2)
    expect(one?.etag).not.toBe(two?.etag)
  })

  it('are not kept when there is nothing, or when they failed', async () => {
    const nothing = async () => {
      made.push('nothing')
      return undefined
    }
    expect([await answers.read('q', nothing), await answers.read('q', nothing)]).toEqual([undefined, undefined])
    expect(made).toHaveLength(2)
    const failed = answers.read('f', () => Promise.reject(new Error('away')))
    const waiting = answers.read('f', () => Promise.reject(new Error('not asked')))
    await expect(failed).rejects.toThrow('away')
    await expect(waiting).rejects.toThrow('away')
    expect((await ask('f'))?.text).toBe('"f"')
  })

  it('are forgotten when something was changed, those that are being made too', async () => {
    await ask('kept', 'before')
    const { promise, resolve } = Promise.withResolvers<string>()
    const underWay = answers.read('slow', () => promise)
    answers.forget()
    expect((await ask('kept', 'after'))?.text).toBe('"after"')
    expect((await ask('slow', 'after'))?.text).toBe('"after"')
    resolve('before')
    expect((await underWay)?.text).toBe('"before"')
    expect((await ask('slow', 'not made'))?.text).toBe('"after"')
  })

  it('are bounded by their length', async () => {
    const half = 'x'.repeat(leadAnswersCharsMax / 2)
    for (const question of ['a', 'b', 'a']) await ask(question, half)
    expect(made).toEqual(['a', 'b', 'a'])
  })
})
