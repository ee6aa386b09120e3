import type { RowTable } from './row-table.ts'

const rowsMin = 16

/**
 * Rows of several tables, in order. Rows of one table that follow each other, as most do, take four bytes each: what changes between two
 * commits may be tens of thousands of rows, and lives too long to be cheap garbage.
 */
export class RowList {
  #rows = new Uint32Array(rowsMin)
  #size = 0
  /** The table of each run of rows, and where in `#rows` the run ends. */
  readonly #tables: RowTable[] = []
  readonly #ends: number[] = []

  get size(): number {
    return this.#size
  }

  push(table: RowTable, row: number): void {
    if (this.#size === this.#rows.length) this.#grow()
    this.#rows[this.#size++] = row
    const last = this.#tables.length - 1
    if (this.#tables[last] === table) {
      this.#ends[last] = this.#size
    } else {
      this.#tables.push(table)
      this.#ends.push(this.#size)
    }
  }

  forEach(visit: (table: RowTable, row: number, index: number) => void): void {
    let index = 0
    for (let run = 0; run < this.#tables.length; run++) {
      const table = this.#tables[run]
      const end = this.#ends[run] ?? 0
      if (table !== undefined) for (; index < end; index++) visit(table, this.#rows[index] ?? 0, index)
    }
  }

  /**
   * Follows rows to where they are now: `moves` has, for each table that was replaced, the new one and the rows' numbers there. A table that was
   * put in another's place may have been replaced itself.
   */
  follow(moves: ReadonlyMap<RowTable, MovedRows>): void {
    let start = 0
    for (let run = 0; run < this.#tables.length; run++) {
      const end = this.#ends[run] ?? 0
      const table = this.#tables[run]
      for (let moved = table && moves.get(table); moved !== undefined; moved = moves.get(moved.table)) {
        this.#tables[run] = moved.table
        for (let i = start; i < end; i++) this.#rows[i] = moved.rows[this.#rows[i] ?? 0] ?? 0
      }
      start = end
    }
  }

  #grow(): void {
    const rows = new Uint32Array(this.#rows.length * 2)
    rows.set(this.#rows)
    this.#rows = rows
  }
}

/** Where the rows of a table went; rows that did not stay have a 0. */
export interface MovedRows {
  readonly table: RowTable
  readonly rows: Uint32Array
}
