import type { RowTable } from './row-table.ts'

/** Rows of several tables, in order. Two arrays instead of an object for each. */
export class RowList {
  #tables: RowTable[] = []
  #rows: number[] = []

  get size(): number {
    return this.#rows.length
  }

  push(table: RowTable, row: number): void {
    this.#tables.push(table)
    this.#rows.push(row)
  }

  forEach(visit: (table: RowTable, row: number, index: number) => void): void {
    for (let i = 0; i < this.#rows.length; i++) {
      const table = this.#tables[i]
      const row = this.#rows[i]
      if (table !== undefined && row !== undefined) visit(table, row, i)
    }
  }

  /** Follows rows to where they are now: `moves` has, for each table that was replaced, the new one and the rows' numbers there. */
  follow(moves: ReadonlyMap<RowTable, MovedRows>): void {
    for (let i = 0; i < this.#rows.length; i++) {
      const table = this.#tables[i]
      const moved = table && moves.get(table)
      if (moved === undefined) continue
      this.#tables[i] = moved.table
      this.#rows[i] = moved.rows[this.#rows[i] ?? 0] ?? 0
    }
  }
}

/** Where the rows of a table went; rows that did not stay have a 0. */
export interface MovedRows {
  readonly table: RowTable
  readonly rows: Uint32Array
}
