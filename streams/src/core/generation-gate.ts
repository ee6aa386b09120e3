import { StreamsError } from './errors.ts'

/** Bounds of what the two sides of a gate wait for each other. */
export interface GenerationGateOptions {
  /** The longest that a commit waits for a join. */
  readonly joinWaitMsMax: number
  /** The longest that a join waits for commits: one that hangs must not cost the membership. */
  readonly commitWaitMsMax: number
}

/**
 * Keeps the commits of a group member and its joins apart. From the moment when the last member has joined, the coordinator refuses commits with
 * the former generation, and only the answer to the join tells the new one: a commit in between would be refused, and its work dropped, though
 * nothing was taken away.
 *
 *     out ──open──▶ open ──close──▶ joining ──open──▶ open
 *      ▲              │                │
 *      └────bar───────┴────────bar─────┘
 */
export class GenerationGate {
  readonly #options: GenerationGateOptions
  #state: 'out' | 'open' | 'joining' = 'out'
  #running = 0
  #waiting = new Set<(outcome: 'open' | 'out') => void>()
  #onIdle: (() => void) | undefined

  constructor(options: GenerationGateOptions) {
    this.#options = options
  }

  /** A commit that begins now would wait. */
  get isJoining(): boolean {
    return this.#state === 'joining'
  }

  /** Runs a commit as soon as no join is under way. Throws `REBALANCED` when there is no generation to commit in, or none soon enough. */
  async commit<T>(action: () => Promise<T>): Promise<T> {
    const outcome = this.#state === 'joining' ? await this.#untilJoined() : this.#state
    if (outcome === 'out') throw new StreamsError('REBALANCED', 'this member is not in its group at the moment')
    this.#running++
    try {
      return await action()
    } finally {
      this.#running--
      if (this.#running === 0) this.#onIdle?.()
    }
  }

  /** A join begins: commits that come from now on wait. Resolves when those under way have ended, or after the bound. */
  async close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'joining'
    if (this.#running === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onIdle = resolve
    const timer = setTimeout(resolve, this.#options.commitWaitMsMax)
    await promise
    clearTimeout(timer)
    this.#onIdle = undefined
  }

  /** There is a generation to commit in. */
  open(): void {
    this.#settle('open')
  }

  /** What there was to be committed is not ours any more: commits are refused until the gate is opened. */
  bar(): void {
    this.#settle('out')
  }

  #settle(state: 'open' | 'out'): void {
    this.#state = state
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve(state)
  }

  async #untilJoined(): Promise<'open' | 'out'> {
    const { promise, resolve } = Promise.withResolvers<'open' | 'out'>()
    this.#waiting.add(resolve)
    const timer = setTimeout(() => resolve('out'), this.#options.joinWaitMsMax)
    const outcome = await promise
    clearTimeout(timer)
    this.#waiting.delete(resolve)
    return outcome
  }
}
