/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number in [from, to). */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from))
  }

  /** One of them; throws for an empty list. */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.int(0, list.length)]
    if (picked === undefined) throw new RangeError('nothing to pick from')
    return picked
  }

  /** The same elements in another order. */
  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list]
    const shuffled: T[] = []
    while (rest.length > 0) shuffled.push(...rest.splice(this.int(0, rest.length), 1))
    return shuffled
  }
}
