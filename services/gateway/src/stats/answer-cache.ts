import { statsAnswersCharsMax } from '../limits.ts'

/**
 * Answers as they went out, until anything changes that they were made of: whoever looks at the same chart asks the same question, again and
 * again. Bounded by the length of all texts together; when they are too long, it begins anew.
 */
export class AnswerCache {
  readonly #texts = new Map<string, string>()
  #chars = 0
  #version = -1

  /** The text of a question, when it was made of this version. */
  get(question: string, version: number): string | undefined {
    return version === this.#version ? this.#texts.get(question) : undefined
  }

  /** Keeps a text that was made of this version; texts of any other version are of no use any more. */
  set(question: string, version: number, text: string): void {
    const chars = question.length + text.length
    if (version !== this.#version || this.#chars + chars > statsAnswersCharsMax) {
      this.#texts.clear()
      this.#chars = 0
      this.#version = version
    }
    if (chars > statsAnswersCharsMax || this.#texts.has(question)) return
    this.#texts.set(question, text)
    this.#chars += chars
  }
}
