import type { Watermark } from '../core/watermark.ts'
import type { TaskNumber } from '../topology/partition-plan.ts'

/**
 * The stream time of a task, −1 before it knows one. It never goes back.
 *
 * Without watermarks it is the largest timestamp polled. With them it is the minimum over all writers of all watermarked inputs; idle
 * writers are left out, and if all are idle it is the maximum of theirs. A writer that was not heard from holds it where it is.
 */
export class StreamTime {
  #nowMs = -1
  readonly #byTopic: ReadonlyMap<string, WriterMarks>

  /** The writers of each watermarked input, by topic. Empty: there are no watermarks, and `observe` drives it. */
  constructor(writers: ReadonlyMap<string, readonly TaskNumber[]>) {
    this.#byTopic = new Map([...writers].map(([topic, tasks]) => [topic, new WriterMarks(tasks)]))
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** A record was polled. */
  observe(timestamp: number): void {
    if (this.#byTopic.size === 0 && timestamp > this.#nowMs) this.#nowMs = timestamp
  }

  /** A watermark came in on this topic; one of a writer that is not expected is ignored. */
  mark(topic: string, mark: Watermark): void {
    this.#byTopic.get(topic)?.set(mark)
    this.#advance()
  }

  /** What the last commit knew: the time, and the writers' marks of one topic. */
  restore(topic: string, nowMs: number, marks: readonly Watermark[]): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs
    for (const mark of marks) this.#byTopic.get(topic)?.set(mark)
    this.#advance()
  }

  /** The last mark of each writer of this topic that was heard, in the writers' order. */
  marksOf(topic: string): readonly Watermark[] {
    return this.#byTopic.get(topic)?.marks() ?? []
  }

  #advance(): void {
    let minimum = Number.POSITIVE_INFINITY
    let idleMaximum = -1
    for (const writers of this.#byTopic.values()) {
      minimum = Math.min(minimum, writers.minimumMs())
      idleMaximum = Math.max(idleMaximum, writers.idleMaximumMs())
    }
    const nowMs = minimum === Number.POSITIVE_INFINITY ? idleMaximum : minimum
    if (nowMs > this.#nowMs) this.#nowMs = nowMs
  }
}

/** The last marks of a topic's writers. */
class WriterMarks {
  readonly #marks: { readonly task: TaskNumber; mark: Watermark | undefined }[]
  readonly #index = new Map<string, number>()

  constructor(tasks: readonly TaskNumber[]) {
    this.#marks = tasks.map((task) => ({ task, mark: undefined }))
    tasks.forEach((task, index) => {
      this.#index.set(keyOf(task), index)
    })
  }

  set(mark: Watermark): void {
    const entry = this.#marks[this.#index.get(keyOf(mark)) ?? -1]
    if (entry !== undefined) entry.mark = mark
  }

  marks(): readonly Watermark[] {
    return this.#marks.flatMap(({ mark }) => (mark === undefined ? [] : [mark]))
  }

  /** −1 while one was not heard from; infinite when all are idle. */
  minimumMs(): number {
    let minimum = Number.POSITIVE_INFINITY
    for (const { mark } of this.#marks) {
      if (mark === undefined) return -1
      if (!mark.idle && mark.streamTimeMs < minimum) minimum = mark.streamTimeMs
    }
    return minimum
  }

  idleMaximumMs(): number {
    let maximum = -1
    for (const { mark } of this.#marks)
      if (mark?.idle === true && mark.streamTimeMs > maximum) maximum = mark.streamTimeMs
    return maximum
  }
}

function keyOf(task: TaskNumber): string {
  return `${task.subtopology}_${task.partition}`
}
