import { AnswerCache } from '../http/answer-cache.ts'
import { entityTagOf } from '../http/entity-tag.ts'
import { leadAnswerMsMax, leadAnswersCharsMax, leadQuestionsMax } from '../limits.ts'

/** An answer as it goes out. */
export interface LeadAnswer {
  readonly text: string
  readonly etag: string
}

/**
 * Answers about leads, shared by all who ask the same within `leadAnswerMsMax`: the first asks the database, those who come meanwhile wait for the same answer, and it is kept for the rest of that time.
 * So an answer is never older than this and the time of its query. All who may read leads see the same ones, so nobody gets what is not for him.
 */
export class LeadAnswers {
  readonly #nowMs: () => number
  readonly #kept = new AnswerCache<LeadAnswer>(leadAnswersCharsMax)
  readonly #asked = new Map<string, Promise<LeadAnswer | undefined>>()
  #slot = Number.NEGATIVE_INFINITY
  #version = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** The answer to a question; `make` gives what it says, or undefined when there is nothing, which is not kept. Throws what `make` throws, for all who wait. */
  read(question: string, make: () => Promise<unknown>): Promise<LeadAnswer | undefined> {
    const version = this.#currentVersion()
    const kept = this.#kept.get(question, version)
    if (kept !== undefined) return Promise.resolve(kept)
    const asked = this.#asked.get(question)
    if (asked !== undefined) return asked
    const answer = this.#make(question, version, make)
    if (this.#asked.size < leadQuestionsMax) this.#asked.set(question, answer)
    return answer
  }

  /** What was read until now is of no use any more: something was changed that must not be seen again. */
  forget(): void {
    this.#begin(this.#slot)
  }

  #currentVersion(): number {
    const slot = Math.floor(this.#nowMs() / leadAnswerMsMax)
    if (slot !== this.#slot) this.#begin(slot)
    return this.#version
  }

  /** Who asks from now on does not wait for answers that were asked for before. */
  #begin(slot: number): void {
    this.#slot = slot
    this.#version++
    this.#asked.clear()
  }

  async #make(question: string, version: number, make: () => Promise<unknown>): Promise<LeadAnswer | undefined> {
    try {
      const said = await make()
      if (said === undefined) return undefined
      const text = JSON.stringify(said)
      const answer = { text, etag: entityTagOf(text) }
      if (version === this.#version) this.#kept.set(question, version, { answer, chars: text.length })
      return answer
    } finally {
      if (version === this.#version) this.#asked.delete(question)
    }
  }
}
