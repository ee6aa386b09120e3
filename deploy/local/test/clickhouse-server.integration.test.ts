import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync, gunzipSync, gzipSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { type ClickHouseClient, ClickHouseError, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import avro from 'avsc'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { freePorts } from '../src/ports.ts'

const program = fileURLToPath(new URL('../src/clickhouse-server.ts', import.meta.url))
// Most of these tests provoke errors; the client would print each.
const log = { level: ClickHouseLogLevel.OFF }
const account = { user: 'millrace', password: randomUUID() }
const reader = { username: 'dashboards', password: randomUUID() }
let folder: string
let url: string
let port: number
let server: ChildProcess
let client: ClickHouseClient
let table: string

async function startServer(): Promise<void> {
  server = spawn(process.execPath, [program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      UV_THREADPOOL_SIZE: '16',
      MILLRACE_CLICKHOUSE_PORT: String(port),
      MILLRACE_CLICKHOUSE_DATA_DIR: folder,
      MILLRACE_CLICKHOUSE_USER: account.user,
      MILLRACE_CLICKHOUSE_PASSWORD: account.password,
      MILLRACE_CLICKHOUSE_DATABASE: 'millrace',
      MILLRACE_CLICKHOUSE_READER_USER: reader.username,
      MILLRACE_CLICKHOUSE_READER_PASSWORD: reader.password,
    },
  })
  await new Promise<void>((resolve, reject) => {
    server.once('exit', (code) => reject(new Error(`The server ended with ${code}`)))
    server.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.includes('answers at')) resolve()
    })
  })
}

async function endServer(signal: NodeJS.Signals): Promise<void> {
  const ended = once(server, 'exit')
  server.kill(signal)
  await ended
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-clickhouse-'))
  port = (await freePorts(1))[0] ?? 0
  url = `http://127.0.0.1:${port}`
  await startServer()
  client = createClient({ url, username: account.user, password: account.password, database: 'millrace', log })
})
afterAll(async () => {
  await client?.close()
  if (server?.exitCode === null) await endServer('SIGTERM')
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  table = `t_${randomUUID().replaceAll('-', '')}`
  await client.command({
    query: `CREATE TABLE ${table} (id UInt64, name String) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100`,
  })
})

const count = async () => Number((await rows<{ n: string }>(`SELECT count() AS n FROM ${table}`))[0]?.n)

async function rows<T>(query: string, query_params: Record<string, unknown> = {}): Promise<T[]> {
  return await (await client.query({ query, query_params, format: 'JSONEachRow' })).json<T>()
}

/** A request as `curl` would send it. */
async function post(
  query: string,
  init: RequestInit & { parameters?: Record<string, string> } = {},
): Promise<Response> {
  const parameters = new URLSearchParams({ query, database: 'millrace', ...init.parameters })
  const authorization = `Basic ${Buffer.from(`${account.user}:${account.password}`).toString('base64')}`
  return await fetch(`${url}/?${parameters}`, { method: 'POST', ...init, headers: { authorization, ...init.headers } })
}

describe('accounts', () => {
  it('answers pings without one, by path and by query', async () => {
    expect(await (await fetch(`${url}/ping`)).text()).toBe('Ok.\n')
    expect(await client.ping()).toEqual({ success: true })
    expect(await client.ping({ select: true })).toEqual({ success: true })
  })

  it('refuses a wrong password and a wrong name with 403 and the code of ClickHouse', async () => {
    for (const wrong of [
      { username: account.user, password: 'wrong' },
      { username: 'nobody', password: account.password },
    ]) {
      const stranger = createClient({ url, ...wrong, log })
      await expect(stranger.query({ query: 'SELECT 1' })).rejects.toMatchObject({
        code: '516',
        type: 'AUTHENTICATION_FAILED',
      })
      await stranger.close()
    }
  })

  it('asks for a password with 401', async () => {
    const response = await fetch(`${url}/?query=SELECT+1`)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic/)
    expect(response.headers.get('x-clickhouse-exception-code')).toBe('194')
  })

  it('takes the account from headers and from parameters, too', async () => {
    const headers = { 'X-ClickHouse-User': account.user, 'X-ClickHouse-Key': account.password }
    expect(await (await fetch(`${url}/?query=SELECT+1`, { headers })).text()).toBe('1\n')
    expect(await (await fetch(`${url}/?query=SELECT+1&user=${account.user}&password=${account.password}`)).text()).toBe(
      '1\n',
    )
  })
})

describe('readers', () => {
  const asReader = async <T>(work: (client: ClickHouseClient) => Promise<T>): Promise<T> => {
    const readerClient = createClient({ url, ...reader, database: 'millrace', log })
    try {
      return await work(readerClient)
    } finally {
      await readerClient.close()
    }
  }

  it('an account that only reads may set what a query takes, and change nothing', async () => {
    await asReader(async (readerClient) => {
      const settings = { max_block_size: '123' }
      const found = await readerClient.query({
        query: `SELECT count() AS n, getSetting('max_block_size') AS size FROM ${table}`,
        format: 'JSONEachRow',
        clickhouse_settings: settings,
      })
      expect(await found.json()).toMatchObject([{ size: expect.anything() }])
      for (const query of [
        `DROP TABLE ${table}`,
        'CREATE TABLE t2 (x UInt8) ENGINE = Memory',
        `TRUNCATE TABLE ${table}`,
      ]) {
        await expect(readerClient.command({ query }), query).rejects.toMatchObject({ type: 'READONLY' })
      }
      const insert = readerClient.insert({ table, values: [{ id: 1, name: 'a' }], format: 'JSONEachRow' })
      await expect(insert).rejects.toMatchObject({ type: 'READONLY' })
      const raised = readerClient.command({ query: `DROP TABLE ${table}`, clickhouse_settings: { readonly: '0' } })
      await expect(raised, 'nobody gives himself more').rejects.toMatchObject({ type: 'READONLY' })
    })
    expect(await count()).toBe(0)
  })

  it('readonly = 1 takes no setting in the query either', async () => {
    const response = await post('SELECT 1 SETTINGS max_block_size = 10', { parameters: { readonly: '1' } })
    expect(response.headers.get('x-clickhouse-exception-code')).toBe('164')
    expect(await (await post('SELECT 1', { parameters: { readonly: '1' } })).text()).toBe('1\n')
  })
})

describe('ending a query', () => {
  const slow = 'SELECT sum(sleepEachRow(0.5)) FROM numbers(200)'
  const settings = { max_block_size: '1', function_sleep_max_microseconds_per_block: '1000000000' } as const
  const running = async (id: string) =>
    (
      await rows<{ n: string }>(
        `SELECT count() AS n FROM system.processes WHERE startsWith(Settings['log_comment'], {id:String})`,
        { id },
      )
    )[0]?.n

  it('KILL QUERY takes the id that the client has given', async () => {
    const query_id = randomUUID()
    const killed = client.query({ query: slow, format: 'JSON', query_id, clickhouse_settings: settings })
    const ended = expect(killed).rejects.toMatchObject({ type: 'QUERY_WAS_CANCELLED' })
    await vi.waitUntil(async () => Number(await running(query_id)) === 1, { timeout: 30_000 })
    await client.command({ query: `KILL QUERY WHERE query_id = '${query_id}' ASYNC` })
    await ended
  })

  it('a client that leaves ends what it asked, when it said so', async () => {
    const query_id = randomUUID()
    const gone = new AbortController()
    const asked = client.query({
      query: slow,
      format: 'JSON',
      query_id,
      abort_signal: gone.signal,
      clickhouse_settings: { ...settings, cancel_http_readonly_queries_on_client_close: 1 },
    })
    const ended = expect(asked).rejects.toThrow()
    await vi.waitUntil(async () => Number(await running(query_id)) === 1, { timeout: 30_000 })
    gone.abort()
    await ended
    await vi.waitUntil(async () => Number(await running(query_id)) === 0, { timeout: 30_000 })
  })
})

describe('errors', () => {
  it.each([
    ['SELECT 1 x y z', '62', 'SYNTAX_ERROR', 400],
    ['SELECT 1; SELECT 2', '62', 'SYNTAX_ERROR', 400],
    ['SELECT nothing', '47', 'UNKNOWN_IDENTIFIER', 404],
    ['SELECT * FROM missing', '60', 'UNKNOWN_TABLE', 404],
    ['SELECT * FROM missing.missing', '81', 'UNKNOWN_DATABASE', 404],
    ['SELECT toUInt8({x:UInt8})', '456', 'UNKNOWN_QUERY_PARAMETER', 400],
    ["SELECT throwIf(1, 'on purpose')", '395', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO', 500],
  ])('%s is answered with code %s', async (query, code, type, status) => {
    const error = await client.query({ query, format: 'JSON' }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ClickHouseError)
    expect(error).toMatchObject({ code, type })
    const response = await post(query)
    expect(response.status).toBe(status)
    expect(response.headers.get('x-clickhouse-exception-code')).toBe(code)
  })

  it('names the column and the row of bad input, and inserts nothing of it', async () => {
    const insert = client.insert({
      table,
      values: [
        { id: 1, name: 'good' },
        { id: 'bad', name: 'x' },
      ],
      format: 'JSONEachRow',
    })
    await expect(insert).rejects.toMatchObject({ code: '27', type: 'CANNOT_PARSE_INPUT_ASSERTION_FAILED' })
    await expect(insert).rejects.toThrow(/value of key id/)
    expect(await count()).toBe(0)
  })

  it('reaches the client when it happens in the middle of a stream', async () => {
    const query = 'SELECT throwIf(number = 500000) FROM numbers(1000000)'
    const result = await client.query({ query, format: 'JSONEachRow' })
    // Always an error; the client knows its code only when the last packet happens to hold all of it.
    await expect(result.json()).rejects.toThrow()

    const body = await (await post(`${query} FORMAT JSONEachRow`)).text()
    const [, tag, message] = /\r\n__exception__\r\n(\w+)\r\n([\s\S]*?)\d+ \1\r\n__exception__\r\n$/.exec(body) ?? []
    expect(tag).toHaveLength(16)
    expect(message).toMatch(/^Code: 395\. DB::Exception: /)
  })

  it('refuses by name what the embedded server does not do', async () => {
    for (const parameters of [{ session_id: 'a' }, { compress: '1' }]) {
      const response = await post('SELECT 1', { parameters })
      expect([response.status, response.headers.get('x-clickhouse-exception-code')]).toEqual([501, '48'])
    }
  })
})

describe('parameters and settings', () => {
  it('passes values on as they are', async () => {
    const tricky = "it's\ta \\ 'quoted' \n line; -- ünï {x:String} `"
    const found = await rows(
      'SELECT {s:String} AS s, {n:Int64} AS n, {a:Array(String)} AS a, {o:Nullable(String)} AS o, {d:DateTime64(3)} AS d',
      {
        s: tricky,
        n: -5,
        a: ['x', "y'z", tricky],
        o: null,
        d: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)),
      },
    )
    expect(found).toEqual([
      { s: tricky, n: expect.anything(), a: ['x', "y'z", tricky], o: null, d: '2026-01-02 03:04:05.678' },
    ])
  })

  it('takes identifiers', async () => {
    expect(await rows('SELECT count() AS n FROM {t:Identifier}', { t: table })).toHaveLength(1)
  })

  it('are those of one request only', async () => {
    const setting = async (clickhouse_settings = {}) =>
      await (
        await client.query({
          query: "SELECT getSetting('max_block_size')",
          format: 'TabSeparated',
          clickhouse_settings,
        })
      ).text()
    const before = await setting()
    expect(await setting({ max_block_size: '123' })).toBe('123\n')
    expect(await setting()).toBe(before)
    await rows('SELECT {secret:String} AS s', { secret: 'x' })
    await expect(rows('SELECT {secret:String} AS s')).rejects.toMatchObject({ type: 'UNKNOWN_QUERY_PARAMETER' })
  })

  it('refuses a setting that does not exist, with 404', async () => {
    expect((await post('SELECT 1', { parameters: { no_such_setting: '1' } })).status).toBe(404)
  })

  it('lets a GET read and not write', async () => {
    const get = (query: string) => post(query, { method: 'GET' })
    expect(await (await get(`SELECT count() FROM ${table}`)).text()).toBe('0\n')
    expect(await (await get(`DROP TABLE ${table}`)).text()).toContain('READONLY')
  })
})

describe('rows in and out', () => {
  it('inserts through the client and says how many', async () => {
    const { summary } = await client.insert({
      table,
      values: [
        { id: 1, name: 'ä' },
        { id: 2, name: 'b' },
      ],
      format: 'JSONEachRow',
    })
    expect(summary?.written_rows).toBe('2')
    expect(await rows(`SELECT * FROM ${table} ORDER BY id`)).toEqual([
      { id: expect.anything(), name: 'ä' },
      { id: expect.anything(), name: 'b' },
    ])
  })

  it('compresses both ways', async () => {
    const compressing = createClient({
      url,
      username: account.user,
      password: account.password,
      database: 'millrace',
      compression: { request: true, response: true },
    })
    const values = Array.from({ length: 10_000 }, (_, id) => ({ id, name: `row ${id}` }))
    await compressing.insert({ table, values, format: 'JSONEachRow' })
    const result = await compressing.query({ query: `SELECT * FROM ${table} ORDER BY id`, format: 'JSONEachRow' })
    expect(await result.json()).toHaveLength(10_000)
    await compressing.close()
  })

  it.each([
    ['gzip', gunzipSync],
    ['zstd', zstdDecompressSync],
    ['deflate', inflateSync],
    ['br', brotliDecompressSync],
  ] as const)('answers in %s, whole and streamed', async (encoding, decode) => {
    for (const format of ['JSONCompact', 'JSONEachRow']) {
      const query = `SELECT number FROM numbers(20000) FORMAT ${format} SETTINGS output_format_write_statistics = 0`
      const packed = await bytesOf(query, encoding)
      expect(packed.encoding).toBe(encoding)
      expect(decode(packed.bytes).toString()).toBe(await (await post(query)).text())
      expect(packed.bytes.length).toBeLessThan(100_000)
    }
  })

  it('answers Native as a client of the native protocol reads it, which Grafana’s plugin is', async () => {
    const parameters = { default_format: 'Native', client_protocol_version: '54460' }
    const ask = async (query: string, more: Record<string, string> = parameters) =>
      Buffer.from(await (await post(query, { parameters: more })).arrayBuffer())
    // The block's info; one column, one row; name, type, how it is serialised, data.
    const info = [1, 0, 2, 255, 255, 255, 255, 0]
    const expected = [...info, 1, 1, 1, 0x61, 5, ...Buffer.from('UInt8'), 0, 7]
    expect([...(await ask('SELECT toUInt8(7) AS a'))]).toEqual(expected)

    const everything = `SELECT toLowCardinality(toNullable(toString(number % 300))) AS k, [toLowCardinality('a'), 'b'] AS a,
      map('k', [1, NULL]) AS m, tuple(1 AS x, [[number]]) AS t, toDecimal256(1, 10) AS d, generateUUIDv4() AS u, toIPv6('::1') AS i,
      CAST('a' AS Enum8('a, (b)' = 2, 'a' = 1)) AS e, toDateTime64(0, 3, 'Europe/Berlin') AS w, NULL AS n, [] AS o, (1.5, 2.5)::Point AS p,
      toFixedString('abc', 5) AS f, now() - INTERVAL 1 DAY AS y, INTERVAL 1 WEEK AS z, true AS l
      FROM numbers(100000)`
    const plain = await ask(everything, { default_format: 'Native' })
    const revised = await ask(everything)
    const blocks = revised.toString('latin1').split(Buffer.from(info).toString('latin1')).length - 1
    expect(blocks).toBeGreaterThan(1)
    expect(revised.length - plain.length).toBe(blocks * (info.length + 16))

    const json = await post(`SELECT '{"a":1}'::JSON`, { parameters })
    expect([json.status, json.headers.get('x-clickhouse-exception-code')]).toEqual([501, '48'])
    expect(await json.text()).toContain('type JSON')

    const wrong = await post('SELECT 1', { parameters: { ...parameters, client_protocol_version: 'new' } })
    expect([wrong.status, wrong.headers.get('x-clickhouse-exception-code')]).toEqual([400, '36'])
    expect(await wrong.text()).toContain('client_protocol_version must be a whole number, not "new"')
  })

  it.each(['RowBinaryWithNamesAndTypes', 'Native', 'Parquet', 'Arrow', 'MsgPack'] as const)(
    'hands %s back as it was given out',
    async (format) => {
      await client.insert({
        table,
        values: [
          { id: 1, name: 'ä' },
          { id: 2, name: '' },
        ],
        format: 'JSONEachRow',
      })
      const answer = await post(`SELECT id + 10 AS id, name FROM ${table} ORDER BY id FORMAT ${format}`)
      expect(answer.headers.get('content-type')).toContain('application/octet-stream')
      const body = new Uint8Array(await answer.arrayBuffer())
      expect((await post(`INSERT INTO ${table} FORMAT ${format}`, { body })).status).toBe(200)
      expect(await (await post(`SELECT id, name FROM ${table} ORDER BY id`)).text()).toBe('1\tä\n2\t\n11\tä\n12\t\n')
    },
  )

  it('inserts from a stream, and reads row by row into one', async () => {
    const lines = Readable.from(
      Array.from({ length: 5_000 }, (_, id) => `${id}\trow ${id}\n`),
      { objectMode: false },
    )
    await client.insert({ table, values: lines, format: 'TabSeparated' })
    const objects = Readable.from(Array.from({ length: 500 }, (_, id) => ({ id: 10_000 + id, name: 'object' })))
    await client.insert({ table, values: objects, format: 'JSONEachRow' })
    const result = await client.query({ query: `SELECT id, name FROM ${table} ORDER BY id`, format: 'JSONEachRow' })
    let seen = 0
    for await (const chunk of result.stream<{ name: string }>()) {
      for (const row of chunk) if (row.json().name !== '') seen++
    }
    expect(seen).toBe(5_500)
    const { stream, query_id } = await client.exec({
      query: `SELECT count() FROM ${table} FORMAT CSV`,
      query_id: 'mine',
    })
    expect(await text(stream)).toBe('5500\n')
    expect(query_id).toBe('mine')
  })

  it('tells what a dashboard asks first: versions, databases, tables and columns', async () => {
    expect(await rows('SELECT version() AS version, timezone() AS zone')).toEqual([
      { version: expect.stringMatching(/^\d+\.\d+/), zone: expect.any(String) },
    ])
    expect(await rows("SELECT name FROM system.databases WHERE name = 'millrace'")).toEqual([{ name: 'millrace' }])
    const tables = "SELECT name FROM system.tables WHERE database = 'millrace' AND name = {table:String}"
    expect(await rows(tables, { table })).toEqual([{ name: table }])
    expect(
      await rows('SELECT name, type FROM system.columns WHERE table = {table:String} ORDER BY position', { table }),
    ).toEqual([
      { name: 'id', type: 'UInt64' },
      { name: 'name', type: 'String' },
    ])
    expect(await rows(`DESCRIBE TABLE ${table}`)).toHaveLength(2)
  })

  it.each(['JSON', 'JSONCompact', 'JSONEachRow', 'CSVWithNames', 'TabSeparatedWithNamesAndTypes', 'Pretty'] as const)(
    'answers %s as one document, also when it is long',
    async (format) => {
      const query = 'SELECT number, toString(number) AS text FROM numbers(200000)'
      const body = await (await post(`${query} FORMAT ${format} SETTINGS output_format_pretty_max_rows = 10`)).text()
      if (format === 'JSON' || format === 'JSONCompact') expect(JSON.parse(body).data).toHaveLength(200_000)
      if (format === 'JSONEachRow') expect(body.trim().split('\n')).toHaveLength(200_000)
      if (format.includes('WithNames'))
        expect(body.split('\n').filter((line) => line.includes('number'))).toHaveLength(1)
    },
  )

  it('streams rows as they come, and stops when the client has had enough', async () => {
    for (let i = 0; i < 20; i++) {
      const result = await client.query({ query: 'SELECT number FROM numbers(1000000000)', format: 'JSONEachRow' })
      const stream = result.stream()
      for await (const chunk of stream) {
        expect(chunk.length).toBeGreaterThan(0)
        break
      }
      result.close()
    }
    expect(await rows('SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('takes a binary body: an Avro container', async () => {
    const plain = await container([
      { id: 7, name: 'seven' },
      { id: 8, name: '\u0000' },
    ])
    const packed = gzipSync(await container([{ id: 9, name: 'ninth' }]))
    expect((await post(`INSERT INTO ${table} FORMAT Avro`, { body: new Uint8Array(plain) })).status).toBe(200)
    const headers = { 'content-encoding': 'gzip' }
    expect((await post(`INSERT INTO ${table} FORMAT Avro`, { body: new Uint8Array(packed), headers })).status).toBe(200)
    expect(await rows(`SELECT name FROM ${table} ORDER BY id`)).toEqual([
      { name: 'seven' },
      { name: '\u0000' },
      { name: 'ninth' },
    ])
  })

  it('takes the rows in the same body as the statement, and through input()', async () => {
    await post('', { body: `INSERT INTO ${table} VALUES (1, 'a;b'), (2, concat('c', 'd'))` })
    await post('', { body: `INSERT INTO ${table} FORMAT CSV\n3,"x"\n` })
    await post(`INSERT INTO ${table} SELECT n + 1, upper(s) FROM input('n UInt64, s String') FORMAT TSV`, {
      body: '4\ty\n',
    })
    expect(await (await post(`SELECT * FROM ${table} ORDER BY id`)).text()).toBe('1\ta;b\n2\tcd\n3\tx\n5\tY\n')
  })

  it('leaves no uploaded body behind', async () => {
    await client.insert({ table, values: [{ id: 1, name: 'a' }], format: 'JSONEachRow' })
    await post(`INSERT INTO ${table} FORMAT Avro`, { body: 'not Avro' })
    // Deleted when all is answered, which the client may hear of first.
    await expect.poll(() => readdirSync(join(folder, 'uploads'))).toEqual([])
  })

  it('inserts and reads at the same time', async () => {
    const batches = Array.from({ length: 40 }, (_, batch) =>
      client.insert({
        table,
        values: Array.from({ length: 100 }, (_, i) => ({ id: batch * 100 + i, name: 'x' })),
        format: 'JSONEachRow',
      }),
    )
    await Promise.all([...batches, ...Array.from({ length: 20 }, count)])
    expect(await count()).toBe(4_000)
  })

  it('answers others while a long query runs', async () => {
    const gone = new AbortController()
    let isOver = false
    const slow = client
      .query({
        query: 'SELECT sum(sleepEachRow(0.5)) FROM numbers(200)',
        format: 'JSON',
        abort_signal: gone.signal,
        clickhouse_settings: {
          max_block_size: '1',
          function_sleep_max_microseconds_per_block: '1000000000',
          cancel_http_readonly_queries_on_client_close: 1,
        },
      })
      .finally(() => {
        isOver = true
      })
    const ended = expect(slow).rejects.toThrow()
    await client.ping()
    await rows('SELECT 1')
    expect(isOver).toBe(false)
    gone.abort()
    await ended
  })
})

describe('after SIGKILL', () => {
  it('has every acknowledged row, and still knows the deduplication tokens', async () => {
    const insert = async (token: string, id: number) =>
      await client.insert({
        table,
        values: [{ id, name: token }],
        format: 'JSONEachRow',
        clickhouse_settings: { insert_deduplicate: 1, insert_deduplication_token: token, async_insert: 0 },
      })
    await insert('events:0:0-99', 1)
    await insert('events:0:100-199', 2)
    await endServer('SIGKILL')
    await startServer()
    expect(await count()).toBe(2)
    await insert('events:0:100-199', 2)
    expect(await count()).toBe(2)
    await insert('events:0:200-299', 3)
    expect(await count()).toBe(3)
  })

  it('the same token with the same range again, before and after, counts once', async () => {
    const body = await container([{ id: 1, name: 'a' }])
    const parameters = {
      insert_deduplicate: '1',
      async_insert: '0',
      input_format_parallel_parsing: '0',
      insert_deduplication_token: 'k',
    }
    const insert = () => post(`INSERT INTO ${table} FORMAT Avro`, { parameters, body: new Uint8Array(body) })
    expect((await insert()).status).toBe(200)
    expect((await insert()).status).toBe(200)
    await endServer('SIGKILL')
    await startServer()
    expect((await insert()).status).toBe(200)
    expect(await count()).toBe(1)
  })

  it('kills what runs too long after SIGTERM, ends in order, and comes back', async () => {
    const settings = { max_block_size: '1', function_sleep_max_microseconds_per_block: '1000000000' } as const
    const query_id = randomUUID()
    const slow = client.query({
      query: 'SELECT sum(sleepEachRow(0.5)) FROM numbers(1000)',
      query_id,
      clickhouse_settings: settings,
      format: 'JSON',
    })
    const ended = expect(slow).rejects.toMatchObject({ type: 'QUERY_WAS_CANCELLED' })
    const running =
      "SELECT count() AS n FROM system.processes WHERE startsWith(Settings['log_comment'], {query_id:String})"
    await vi.waitUntil(async () => Number((await rows<{ n: string }>(running, { query_id }))[0]?.n) === 1, {
      timeout: 30_000,
    })
    await endServer('SIGTERM')
    await ended
    expect(server.exitCode).toBe(0)
    await startServer()
    expect(await count()).toBe(0)
  })

  it('ends in order at SIGTERM and comes back with its data', async () => {
    await client.insert({ table, values: [{ id: 1, name: 'a' }], format: 'JSONEachRow' })
    await endServer('SIGTERM')
    expect(server.exitCode).toBe(0)
    await startServer()
    expect(await count()).toBe(1)
  })
})

/** An answer as it comes over the wire: `fetch` would unpack it. */
async function bytesOf(query: string, encoding: string): Promise<{ encoding: string | undefined; bytes: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const options = {
    method: 'POST',
    auth: `${account.user}:${account.password}`,
    headers: { 'accept-encoding': encoding },
  }
  request(`${url}/?enable_http_compression=1`, options, resolve).once('error', reject).end(query)
  const response = await promise
  return { encoding: response.headers['content-encoding'], bytes: await buffer(response) }
}

/** An Avro object container with these rows. */
async function container(records: readonly { id: number; name: string }[]): Promise<Buffer> {
  const type = avro.Type.forSchema({
    type: 'record',
    name: 'Row',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'name', type: 'string' },
    ],
  })
  const encoder: Readable & { write: (value: unknown) => void; end: () => void } = new avro.streams.BlockEncoder(type)
  const encoded = text(encoder.setEncoding('latin1'))
  for (const record of records) encoder.write(record)
  encoder.end()
  return Buffer.from(await encoded, 'latin1')
}
