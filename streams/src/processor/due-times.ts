/** Buckets are this wide: a due time is met at most this much late. */
const bucketMs = 1_000

/**
 * Which rows are due when. A row has one due time, which each change of the row moves on; rows of one second share a bucket, so that moving
 * and finding cost the same however many rows wait. In memory only: whoever uses it fills it anew from the store after a restart.
 */
export class DueTimes {
  readonly #bucketOfRow = new Map<string, number>()
  readonly #buckets = new Map<number, Set<string>>()
  readonly #rowsMax: number
  #takenThrough: number

  /** `takenThroughMs`: where an earlier instance left off, as its property of that name said. */
  constructor(options: { readonly rowsMax: number; readonly takenThroughMs: number }) {
    this.#rowsMax = options.rowsMax
    this.#takenThrough = Math.floor(options.takenThroughMs / bucketMs)
  }

  /** Rows that wait. */
  get size(): number {
    return this.#bucketOfRow.size
  }

  /** Sets when the row is due. Returns false when the bound is reached and the row was not known: it is not kept. */
  set(row: Buffer, dueMs: number): boolean {
    const id = row.toString('latin1')
    const bucket = Math.ceil(dueMs / bucketMs)
    const known = this.#bucketOfRow.get(id)
    if (known === bucket) return true
    if (known === undefined && this.#bucketOfRow.size >= this.#rowsMax) return false
    if (known !== undefined) this.#leave(known, id)
    this.#bucketOfRow.set(id, bucket)
    const rows = this.#buckets.get(bucket)
    if (rows === undefined) this.#buckets.set(bucket, new Set([id]))
    else rows.add(id)
    if (bucket <= this.#takenThrough) this.#takenThrough = bucket - 1
    return true
  }

  /**
   * Removes and returns rows that are due at `nowMs`, by due second and then by key bytes: whole seconds, as many as it takes to reach
   * `rowsMax`. What is left comes with the next call.
   */
  takeDue(nowMs: number, rowsMax: number): readonly Buffer[] {
    const through = Math.floor(nowMs / bucketMs)
    if (through <= this.#takenThrough) return []
    const due = [...this.#buckets.keys()].filter((bucket) => bucket <= through).sort((a, b) => a - b)
    const rows: Buffer[] = []
    for (const bucket of due) {
      if (rows.length >= rowsMax) {
        this.#takenThrough = bucket - 1
        return rows
      }
      const ids = [...(this.#buckets.get(bucket) ?? [])].sort()
      this.#buckets.delete(bucket)
      for (const id of ids) {
        this.#bucketOfRow.delete(id)
        rows.push(Buffer.from(id, 'latin1'))
      }
    }
    this.#takenThrough = through
    return rows
  }

  /** Rows that were due until then (inclusive) have been taken; −1 at first. */
  get takenThroughMs(): number {
    return this.#takenThrough < 0 ? -1 : this.#takenThrough * bucketMs
  }

  #leave(bucket: number, id: string): void {
    const rows = this.#buckets.get(bucket)
    rows?.delete(id)
    if (rows?.size === 0) this.#buckets.delete(bucket)
  }
}
