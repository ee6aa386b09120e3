/**
 * Answers as they went out, until anything changes that they were made of: whoever looks at the same thing asks the same question, again and
 * again. Bounded by the length of all texts together; when they are too long, it begins anew.
 */
export class AnswerCache<T> {
  readonly #charsMax: number
  readonly #answers = new Map<string, T>()
  #chars = 0
  #version = -1

  constructor(charsMax: number) {
    this.#charsMax = charsMax
  }

  /** The answer to a question, when it was made of this version. */
  get(question: string, version: number): T | undefined {
    return version === this.#version ? this.#answers.get(question) : undefined
  }

  /** Keeps an answer that was made of this version, whose text has `chars`; answers of any other version are of no use any more. */
  set(question: string, version: number, { answer, chars }: { readonly answer: T; readonly chars: number }): void {
    const added = question.length + chars
    if (version !== this.#version || this.#chars + added > this.#charsMax) {
      this.#answers.clear()
      this.#chars = 0
      this.#version = version
    }
    if (added > this.#charsMax || this.#answers.has(question)) return
    this.#answers.set(question, answer)
    this.#chars += added
  }
}
