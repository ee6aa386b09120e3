import { getTableColumns } from 'drizzle-orm'
import { bigint, boolean, customType, datetime, double, mysqlTable, varchar } from 'drizzle-orm/mysql-core'
import fc from 'fast-check'
import { format } from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { insertNewOn } from './insert-new.ts'

const bytes = customType<{ data: Buffer }>({ dataType: () => 'blob' })
const table = mysqlTable('things', {
  id: varchar('thing_id', { length: 64 }).primaryKey(),
  at: datetime('at', { fsp: 3, mode: 'date' }).notNull(),
  later: datetime('then_at', { fsp: 3, mode: 'date' }),
  size: bigint('size', { mode: 'number' }).notNull(),
  share: double('share'),
  ok: boolean('ok'),
  body: bytes('body'),
})
type Thing = typeof table.$inferInsert

async function statementOf(...batches: readonly (readonly Thing[])[]): Promise<string> {
  const asked: unknown[] = []
  const query = (statement: unknown) => {
    asked.push(statement)
    return Promise.resolve([{ affectedRows: 0 }, []] as never)
  }
  const insertNew = insertNewOn({ query })
  for (const rows of batches) await insertNew(table, rows)
  return String(asked.at(-1))
}

/** What the driver makes of the same values. */
function byTheDriver(rows: readonly Thing[]): string {
  const columns = Object.entries(getTableColumns(table))
  const values = rows.map((row: Readonly<Record<string, unknown>>) =>
    columns.map(([key, column]) => {
      const value = row[key]
      const mapped: unknown = value === undefined || value === null ? null : column.mapToDriverValue(value)
      if (mapped === null || typeof mapped === 'string' || typeof mapped === 'number') return mapped
      if (typeof mapped === 'boolean' || Buffer.isBuffer(mapped)) return mapped
      throw new Error(`a column of the test gives a ${typeof mapped}`)
    }),
  )
  const names = '`thing_id`,`at`,`then_at`,`size`,`share`,`ok`,`body`'
  const text = `INSERT INTO \`things\` (${names}) VALUES ? ON DUPLICATE KEY UPDATE \`thing_id\` = \`thing_id\``
  // Between values it writes a comma and a space, which are not ours to compare.
  return format(text, [values])
}

const text = fc.string({ unit: fc.constantFrom(...'ab ,()\'"`\\\0\n\r\t\b\x1aü🌾\u2028%_-?:', '--', '/*') })
const time = fc.date({ min: new Date(0), max: new Date(Date.UTC(9999, 11, 31, 23, 59, 59, 999)), noInvalidDate: true })
const thing: fc.Arbitrary<Thing> = fc.record({
  id: text,
  at: time,
  later: fc.option(time),
  size: fc.maxSafeInteger(),
  share: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
  ok: fc.option(fc.boolean()),
  body: fc.option(fc.uint8Array().map((array) => Buffer.from(array))),
})

describe('insertNewOn', () => {
  it('writes what the driver would, whatever is in the values', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(thing, { minLength: 1, maxLength: 4 }), async (rows) => {
        expect((await statementOf(rows)).replaceAll(', ', ',')).toBe(byTheDriver(rows).replaceAll(', ', ','))
      }),
    )
  })

  it('writes times of one second and of others, and of a statement after another', async () => {
    const at = (ms: number): Thing => ({ id: 'x', at: new Date(ms), size: 1 })
    const second = Date.UTC(2026, 10, 21, 23, 59, 59)
    const statement = await statementOf([at(second)], [at(second), at(second + 7), at(second + 1_000), at(0)])
    expect(statement.match(/'\d{4}-[^']*'/g)).toEqual([
      "'2026-11-21 23:59:59.000'",
      "'2026-11-21 23:59:59.007'",
      "'2026-11-22 00:00:00.000'",
      "'1970-01-01 00:00:00.000'",
    ])
  })

  it('asks nothing of the database for no rows', async () => {
    expect(await insertNewOn({ query: () => Promise.reject(new Error('asked')) })(table, [])).toBe(true)
  })
})
