import { GatewayError } from '../errors.ts'
import { accessEntriesMax, accessIdleMs, accessReadIdsMax, accessStaleMsMax, accessWaitingMax } from '../limits.ts'

interface Entry<T> {
  value: T
  /** When the store was last asked, and said this. */
  readMs: number
  usedMs: number
}

/** What the cache is about. */
export interface LiveCacheOptions<T> {
  /** The values of those ids that exist, in any order. */
  readonly read: (ids: readonly string[]) => Promise<readonly T[]>
  readonly nowMs: () => number
}

/**
 * Values by id that are asked for all the time and must not be old: what is in use is read again, all together, whenever `refresh` is called.
 * A request whose value is here costs no query, and however many ask for values that are not, one query runs at a time. When the store
 * does not answer, values stay good for `accessStaleMsMax` after they were last read. What does not exist is not remembered.
 */
export class LiveCache<T extends { readonly id: string }> {
  readonly #read: LiveCacheOptions<T>['read']
  readonly #nowMs: () => number
  readonly #entries = new Map<string, Entry<T>>()
  readonly #waiting = new Map<string, PromiseWithResolvers<T | undefined>>()
  #reading = false
  #refreshing: Promise<void> | undefined

  constructor(options: LiveCacheOptions<T>) {
    this.#read = options.read
    this.#nowMs = options.nowMs
  }

  /** Values that are kept. */
  get size(): number {
    return this.#entries.size
  }

  /** The value, when it is here and not too old. */
  peek(id: string): T | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    const nowMs = this.#nowMs()
    if (nowMs - entry.readMs > accessStaleMsMax) return undefined
    entry.usedMs = nowMs
    return entry.value
  }

  /** Reads a value that `peek` did not have; undefined when there is none. Throws what the store throws, and `OVERLOADED`. */
  load(id: string): Promise<T | undefined> {
    let waiting = this.#waiting.get(id)
    if (waiting === undefined) {
      if (this.#waiting.size >= accessWaitingMax) {
        throw new GatewayError('OVERLOADED', 'Too many tokens and keys wait to be looked up.')
      }
      waiting = Promise.withResolvers()
      this.#waiting.set(id, waiting)
    }
    if (!this.#reading) void this.#readWaiting()
    return waiting.promise
  }

  /** This is how it is now, whatever a read that has begun before says: the next read will know. */
  set(value: T): void {
    const nowMs = this.#nowMs()
    this.#keep(value, nowMs, nowMs)
  }

  /** Reads everything again that is in use, and lets go of the rest. While one runs, another call waits for the same. Throws what the store throws. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#readUsed().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #readUsed(): Promise<void> {
    const nowMs = this.#nowMs()
    for (const [id, entry] of this.#entries) if (nowMs - entry.usedMs > accessIdleMs) this.#entries.delete(id)
    const ids = [...this.#entries.keys()]
    for (let at = 0; at < ids.length; at += accessReadIdsMax) {
      const asked = new Map<string, Entry<T>>()
      for (const id of ids.slice(at, at + accessReadIdsMax)) {
        const entry = this.#entries.get(id)
        if (entry !== undefined) asked.set(id, entry)
      }
      const askedMs = this.#nowMs()
      const found = new Map((await this.#read([...asked.keys()])).map((value) => [value.id, value]))
      for (const [id, before] of asked) {
        // Set meanwhile: what was read is older.
        if (this.#entries.get(id) !== before) continue
        const value = found.get(id)
        if (value === undefined) this.#entries.delete(id)
        else {
          before.value = value
          before.readMs = askedMs
        }
      }
    }
  }

  /** Everyone who comes while a read is under way is in the next one. */
  async #readWaiting(): Promise<void> {
    this.#reading = true
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting].slice(0, accessReadIdsMax)
      for (const [id] of batch) this.#waiting.delete(id)
      const askedMs = this.#nowMs()
      try {
        const found = new Map((await this.#read(batch.map(([id]) => id))).map((value) => [value.id, value]))
        for (const [id, { resolve }] of batch) {
          const value = found.get(id)
          const known = this.#entries.get(id)
          if (value !== undefined && (known === undefined || known.readMs < askedMs)) {
            this.#keep(value, askedMs, this.#nowMs())
          }
          resolve(value === undefined ? undefined : (this.#entries.get(id)?.value ?? value))
        }
      } catch (error) {
        for (const [, { reject }] of batch) reject(error)
      }
    }
    this.#reading = false
  }

  #keep(value: T, readMs: number, usedMs: number): void {
    this.#entries.delete(value.id)
    this.#entries.set(value.id, { value, readMs, usedMs })
    if (this.#entries.size <= accessEntriesMax) return
    const oldest = this.#entries.keys().next()
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }
}
