/** What the relays saw of the inserts into ClickHouse, by their tokens. */
export class InsertLog {
  readonly #askers = new Map<string, Set<string>>()
  readonly #answers = new Map<string, number>()

  /** A process began an insert. */
  asked(token: string, process: string): void {
    const askers = this.#askers.get(token)
    if (askers === undefined) this.#askers.set(token, new Set([process]))
    else askers.add(process)
  }

  /** ClickHouse answered it. */
  answered(token: string): void {
    this.#answers.set(token, (this.#answers.get(token) ?? 0) + 1)
  }

  /** Different inserts. */
  get inserts(): number {
    return this.#answers.size
  }

  /** Inserts that ClickHouse answered more than once: it had the rows already, and must have left the repetition out. */
  get answeredAgain(): number {
    return count(this.#answers.values(), (times) => times > 1)
  }

  /** Ranges that another process wrote under the same token than the one that began: it has found the intent. */
  get takenOver(): number {
    return count(this.#askers.values(), ({ size }) => size > 1)
  }
}

function count<T>(values: Iterable<T>, holds: (value: T) => boolean): number {
  let found = 0
  for (const value of values) if (holds(value)) found++
  return found
}
