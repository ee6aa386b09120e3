/**
 * Whether a table's changes carry the values before. What follows the table asks while the program is described; the processors are made of
 * the answer afterwards, so that nobody pays for values that nobody asked for.
 */
export class OldValues {
  #asked = false
  readonly #find: (force: boolean) => boolean

  /** `find` sees to it that the table knows them, with `force` also by a store of its own, and says whether it does. */
  constructor(find: (force: boolean) => boolean) {
    this.#find = find
  }

  get asked(): boolean {
    return this.#asked
  }

  /** Asks for old values; without `force` only if they come without a further store. Returns whether there will be any. */
  ask(force: boolean): boolean {
    if (!this.#asked) this.#asked = this.#find(force)
    return this.#asked
  }
}
