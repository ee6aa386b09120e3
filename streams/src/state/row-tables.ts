import { RowTable } from './row-table.ts'

/** So many tables hold rows of one start each, as far as they come in order. With more, tables grow wider. */
const narrowTablesMax = 256
/** A table that is made among that many is at least twice as wide as the neighbours on either side are on average. */
const neighbours = 16

/**
 * The tables of a window store, in order of time: each holds the rows of the windows that start within its span, and no two spans overlap.
 * Where windows hold many rows, each has a table of its own, and memory is given back window by window. History that is sparse has a million
 * windows of a row or two: tables for each of them took 2.5 KB a row, and most of the time of its import. So the spans grow with the number
 * of tables, by what the neighbours of a new one span: a year in windows of ten seconds takes some 600 tables, and one wrong time far away
 * widens nothing.
 */
export class RowTables {
  readonly #tables: RowTable[] = []
  /** The one that was used last: most records fall into the same window as the one before. */
  #last: RowTable | undefined

  get size(): number {
    return this.#tables.length
  }

  /** Oldest first. May be changed while it is read through. */
  inOrder(): readonly RowTable[] {
    return [...this.#tables]
  }

  /** The memory they take. */
  get bytes(): number {
    let bytes = 0
    for (const table of this.#tables) bytes += table.bytes
    return bytes
  }

  /** The table that rows of this window are in, if there are any. */
  at(startMs: number): RowTable | undefined {
    const last = this.#last
    if (last !== undefined && last.fromMs <= startMs && startMs <= last.throughMs) return last
    const table = this.#tables[this.#placeOf(startMs)]
    if (table === undefined || table.fromMs > startMs) return undefined
    this.#last = table
    return table
  }

  /** The table for rows of this window, which is made if it is not there. */
  for(startMs: number): RowTable {
    const known = this.at(startMs)
    if (known !== undefined) return known
    const place = this.#placeOf(startMs)
    const widthMs = this.#widthAt(place)
    const fromMs = startMs - (startMs % widthMs)
    const before = this.#tables[place - 1]?.throughMs ?? -1
    const after = this.#tables[place]?.fromMs ?? Number.POSITIVE_INFINITY
    const table = new RowTable(Math.max(fromMs, before + 1), Math.min(fromMs + widthMs, after) - 1)
    this.#tables.splice(place, 0, table)
    this.#last = table
    return table
  }

  /** Puts a table of the same span in the place of another. */
  replace(table: RowTable, by: RowTable): void {
    this.#tables[this.#placeOf(table.fromMs)] = by
    this.#last = undefined
  }

  delete(table: RowTable): void {
    this.#tables.splice(this.#placeOf(table.fromMs), 1)
    this.#last = undefined
  }

  clear(): void {
    this.#tables.length = 0
    this.#last = undefined
  }

  /** Of the first table that ends at or after this time. */
  #placeOf(startMs: number): number {
    let low = 0
    let high = this.#tables.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#tables[middle]?.throughMs ?? 0) < startMs) low = middle + 1
      else high = middle
    }
    return low
  }

  #widthAt(place: number): number {
    const { length } = this.#tables
    if (length < narrowTablesMax) return 1
    const first = Math.max(place - neighbours, 0)
    const last = Math.min(place + neighbours, length) - 1
    const spanMs = (this.#tables[last]?.throughMs ?? 0) + 1 - (this.#tables[first]?.fromMs ?? 0)
    // A power of two: spans that begin at multiples of their width cover each other whole, or not at all.
    return 2 ** Math.ceil(Math.log2((2 * spanMs) / (last - first + 1)))
  }
}
