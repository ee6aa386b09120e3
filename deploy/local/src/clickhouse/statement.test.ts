import { describe, expect, it } from 'vitest'
import { killingBy, readingFrom, readStatement } from './statement.ts'

/** What the statement becomes when its rows are read from a file. */
const fromFile = (sql: string) => readingFrom(sql, readStatement(sql), '/f').replaceAll(/\s+/g, ' ').trim()

describe('readStatement', () => {
  it.each([
    ['SELECT 1', 'select', undefined],
    ['  -- a comment\n/* another; one */ select 1 format JSON;', 'select', 'JSON'],
    ['WITH x AS (SELECT 1) SELECT * FROM x FORMAT CSV SETTINGS max_threads = 1', 'select', 'CSV'],
    ['(SELECT 1) UNION ALL (SELECT 2)', 'select', undefined],
    ["SELECT 'FORMAT JSON'", 'select', undefined],
    ['SELECT format FROM t', 'select', undefined],
    ["SELECT format('{}', a) FROM t FORMAT TSV", 'select', 'TSV'],
    ['SHOW TABLES FORMAT JSONEachRow', 'rows', 'JSONEachRow'],
    ['EXISTS TABLE t', 'rows', undefined],
  ])('%s is of the kind %s with the format %s', (sql, kind, format) => {
    expect(readStatement(sql)).toMatchObject({ kind, format })
  })

  it.each([
    'CREATE TABLE t (a String)',
    'ALTER TABLE t DELETE WHERE a = 1',
    "INSERT INTO t FROM INFILE 'x' FORMAT CSV",
  ])('%s is a command', (sql) => expect(readStatement(sql)).toEqual({ kind: 'command' }))

  it.each(['', '  ', '-- nothing'])('refuses an empty text (%j)', (sql) => {
    expect(() => readStatement(sql)).toThrow('Empty query')
  })

  it('refuses two statements, and takes one with a semicolon at its end', () => {
    expect(() => readStatement('SELECT 1; DROP TABLE t')).toThrow('Multi-statements are not allowed')
    expect(() => readStatement("SELECT ';'; -- done\n;")).not.toThrow()
  })
})

describe('rows of an INSERT', () => {
  it.each([
    ['INSERT INTO t FORMAT Avro', "INSERT INTO t FROM INFILE '/f' COMPRESSION 'none' FORMAT Avro"],
    [
      'INSERT INTO db.t (a, `format`) SETTINGS async_insert = 0 FORMAT CSV',
      "INSERT INTO db.t (a, `format`) FROM INFILE '/f' COMPRESSION 'none' SETTINGS async_insert = 0 FORMAT CSV",
    ],
    ['INSERT INTO t VALUES', "INSERT INTO t FROM INFILE '/f' COMPRESSION 'none' FORMAT Values"],
    [
      "INSERT INTO t SELECT a, upper(b) FROM input('a Int32, b String') FORMAT CSV",
      "INSERT INTO t SELECT a, upper(b) FROM file('/f', 'CSV', 'a Int32, b String')",
    ],
  ])('%s reads them from a file', (sql, expected) => {
    expect(fromFile(sql)).toBe(expected)
  })

  it.each([
    ['INSERT INTO t FORMAT JSONEachRow\n{"a":";"}', '{"a":";"}'],
    ['INSERT INTO t FORMAT JSONEachRow \r\n\n{"a":1}', '\n{"a":1}'],
    ["INSERT INTO t VALUES (1, ')'), (2, 'x;')", " (1, ')'), (2, 'x;')"],
    ["INSERT INTO t (a) FORMAT TSV\n'unclosed", "'unclosed"],
  ])('%j: they begin after the statement', (sql, rows) => {
    const statement = readStatement(sql)
    expect(statement.kind === 'insert-data' && sql.slice(statement.dataAt)).toBe(rows)
  })

  it('INSERT … SELECT without input() has none', () => {
    expect(readStatement('INSERT INTO t SELECT * FROM values(1)')).toEqual({ kind: 'insert-select', input: undefined })
  })

  it('quotes the path of the file', () => {
    const sql = 'INSERT INTO t FORMAT CSV'
    expect(readingFrom(sql, readStatement(sql), "/it's\\here")).toContain("'/it\\'s\\\\here'")
  })
})

describe('killingBy', () => {
  it('puts the expression in place of the name, and of nothing else', () => {
    const sql = "kill query WHERE query_id = 'query_id' OR `query_id` = 'x' /* query_id */ ASYNC"
    expect(killingBy('f(x)', sql)).toBe("kill query WHERE f(x) = 'query_id' OR `query_id` = 'x' /* query_id */ ASYNC")
  })

  it.each(['SELECT query_id FROM system.processes', '', "INSERT INTO t (query_id) VALUES ('KILL')"])(
    'leaves %j as it is',
    (sql) => expect(killingBy('f(x)', sql)).toBe(sql),
  )
})
