import { describe, expect, it } from 'vitest'
import { parseMigration, pendingMigrations, readMigrations } from './migration-files.ts'

const first = parseMigration('0001_first', 'CREATE TABLE a (x int);\n')
const second = parseMigration('0002_second', 'CREATE TABLE b (x int);\n')

describe('parseMigration', () => {
  it('splits at semicolons that end a line and leaves comments out', () => {
    const text =
      "-- why; and\nCREATE TABLE a (\n  x text DEFAULT ';)' -- inline stays\n);\r\nDROP TABLE b; \n\nSELECT 1"
    expect(parseMigration('0001_x', text).statements).toEqual([
      "CREATE TABLE a (\n  x text DEFAULT ';)' -- inline stays\n)",
      'DROP TABLE b',
      'SELECT 1',
    ])
  })

  it('gives the same checksum whatever the line breaks are', () => {
    expect(parseMigration('a', 'X;\r\nY;\r\n').checksum).toBe(parseMigration('a', 'X;\nY;\n').checksum)
  })
})

describe('pendingMigrations', () => {
  it('returns what was not applied, in order', () => {
    expect(pendingMigrations([first, second], [])).toEqual([first, second])
    expect(pendingMigrations([first, second], [first])).toEqual([second])
    expect(pendingMigrations([first, second], [second, first])).toEqual([])
  })

  it('refuses a changed file and a database of another version', () => {
    const changed = parseMigration('0001_first', 'CREATE TABLE a (x bigint);\n')
    expect(() => pendingMigrations([changed], [first])).toThrow(/was changed after it had been applied/)
    expect(() => pendingMigrations([first], [first, second])).toThrow(/probably newer/)
  })
})

describe('readMigrations', () => {
  it('reads the migrations of both databases', () => {
    for (const database of ['mysql', 'clickhouse']) {
      const migrations = readMigrations(new URL(`./${database}/migrations/`, import.meta.url))
      expect(migrations[0]?.name).toBe('0001_initial')
      expect(migrations[0]?.statements.length).toBeGreaterThan(1)
    }
  })
})
