import { StorageError } from '../errors.ts'
import type { Row } from './clickhouse.ts'

/** The text of a column. */
export function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  throw unexpected(column, value)
}

/** The number of a column; 64-bit integers may come as text. */
export function numberOf(row: Row, column: string): number {
  const value = row[column]
  const number = typeof value === 'string' ? Number(value) : value
  if (typeof number === 'number' && Number.isFinite(number)) return number
  throw unexpected(column, value)
}

/** The number of a nullable column; what is not a finite number in ClickHouse comes as null. */
export function nullableNumberOf(row: Row, column: string): number | null {
  return row[column] === null || row[column] === undefined ? null : numberOf(row, column)
}

/** The truth of a Bool column; some versions write 0 and 1. */
export function booleanOf(row: Row, column: string): boolean {
  const value = row[column]
  if (value === true || value === 1) return true
  if (value === false || value === 0) return false
  throw unexpected(column, value)
}

function unexpected(column: string, value: unknown): StorageError {
  return new StorageError(
    'SCHEMA_MISMATCH',
    `ClickHouse answered ${typeof value} in column ${column}: run the migrations`,
  )
}
