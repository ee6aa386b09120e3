import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { PassThrough, type Transform, type Writable } from 'node:stream'
import { constants, createBrotliCompress, createDeflate, createGzip, createZstdCompress } from 'node:zlib'
import { type Account, authenticate } from './credentials.ts'
import { type Engine, type EngineQuery, type EngineResult, type ReadOnly, runningId } from './engine.ts'
import { ClickhouseFailure, toFailure } from './failure.ts'
import { limits } from './limits.ts'
import { nativeFor } from './native-blocks.ts'
import { canStream, contentType, defaultFormat } from './output-format.ts'
import { type RequestBody, readBody } from './request-body.ts'
import { killingBy, readingFrom, readStatement, type Statement } from './statement.ts'

/** What the interface works with. `uploadFolder` is emptied at the start: it holds bodies of running inserts. */
export interface HttpInterfaceOptions {
  readonly engine: Engine
  readonly accounts: readonly Account[]
  readonly uploadFolder: string
  readonly log: (line: string) => void
}

/**
 * ClickHouse's HTTP interface over the embedded engine, as far as its clients and Grafana's plugin use it: the query in the URL or
 * the body, rows of an INSERT in the body, settings and `param_` values in the URL, formats, compression, errors with
 * their codes. Not there, and refused by name: sessions, external tables, the native compression of bodies.
 */
export function createHttpInterface(options: HttpInterfaceOptions): Server {
  rmSync(options.uploadFolder, { recursive: true, force: true })
  mkdirSync(options.uploadFolder, { recursive: true, mode: 0o700 })
  const server = createServer(
    { keepAliveTimeout: 10_000, requestTimeout: limits.querySecondsMax * 1_000 },
    (request, response) => {
      handle(options, request, response).catch((error: unknown) => {
        options.log(`request failed outside of its handling: ${error instanceof Error ? error.stack : error}`)
        response.destroy()
      })
    },
  )
  server.maxConnections = limits.connectionsMax
  return server
}

async function handle(
  options: HttpInterfaceOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  response.setHeader('X-ClickHouse-Server-Display-Name', 'millrace')
  if (
    url.pathname === '/ping' ||
    url.pathname === '/replicas_status' ||
    (url.pathname === '/' && request.method !== 'POST' && url.search === '')
  ) {
    answerText(response, 200, 'Ok.\n')
    return
  }
  const queryId =
    url.searchParams.get('query_id') || String(request.headers['x-clickhouse-query-id'] ?? '') || randomUUID()
  response.setHeader('X-ClickHouse-Query-Id', queryId)
  response.setHeader('X-ClickHouse-Timezone', options.engine.timezone)
  try {
    if (url.pathname !== '/') {
      answerText(
        response,
        404,
        `There is no handle ${url.pathname}\nUse / or /ping for health checks, and /?query=… for queries.\n`,
      )
      return
    }
    const account = authenticate(options.accounts, request.headers, url.searchParams)
    await answerQuery(options, { request, response, parameters: url.searchParams, account, queryId })
  } catch (error) {
    answerFailure(options, response, toFailure(error, new Map()))
    // What is left of the body is not read: the connection cannot be used again.
    if (!request.complete) request.destroy()
  }
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly parameters: URLSearchParams
  readonly account: Account
  readonly queryId: string
}

async function answerQuery(options: HttpInterfaceOptions, exchange: Exchange): Promise<void> {
  const { request, response, parameters } = exchange
  refuseUnsupported(request, parameters)
  const clientRevision = revisionOf(parameters.get('client_protocol_version') ?? '0')
  const encoding = request.headers['content-encoding']?.trim().toLowerCase()
  const body = await readBody(request, encoding)
  const file = join(options.uploadFolder, `${randomUUID()}.rows`)
  try {
    const { sql, statement } = await readQuery(body, parameters.get('query') ?? '', file)
    const query = toEngineQuery(sql, exchange)
    const format = formatOf(statement) ?? query.format
    response.setHeader('X-ClickHouse-Format', format)
    response.setHeader('Content-Type', contentType(format))
    const revision = format === 'Native' ? clientRevision : 0
    const streams = statement.kind === 'select' && canStream(format) && revision === 0
    const output = { response, encoding: encodingOf(request, parameters) }
    if (streams && !isOn(parameters.get('wait_end_of_query'))) return await answerStream(options, query, output)
    const result = await runWatched(options, query, { ...exchange, statement })
    await answerWhole({ ...result, bytes: nativeFor(result.bytes, revision) }, statement, output)
  } finally {
    await rm(file, { force: true })
  }
}

/** Runs a statement to its end, or, when it only reads and the request wishes so, until its client has gone. */
async function runWatched(
  options: HttpInterfaceOptions,
  query: EngineQuery,
  { response, parameters, statement }: Exchange & { readonly statement: Statement },
): Promise<EngineResult> {
  const reads = statement.kind === 'select' || statement.kind === 'rows'
  const endsWithClient = reads && isOn(parameters.get('cancel_http_readonly_queries_on_client_close'))
  const onClose = () => {
    options.engine.kill(query.id).catch((error: unknown) => options.log(`could not end a query: ${error}`))
  }
  if (endsWithClient) response.once('close', onClose)
  try {
    return await options.engine.run(query)
  } finally {
    response.off('close', onClose)
  }
}

/** The statement to run, its rows (when it has any) written to `file`. */
async function readQuery(
  body: RequestBody,
  inUrl: string,
  file: string,
): Promise<{ sql: string; statement: Statement }> {
  if (inUrl.trim() !== '') {
    const statement = readStatement(inUrl)
    if (statement.kind === 'insert-data' || (statement.kind === 'insert-select' && statement.input !== undefined)) {
      const inline = statement.kind === 'insert-data' ? inUrl.slice(statement.dataAt) : ''
      if (body.head.length === 0 && inline.trim() !== '') return { sql: inUrl, statement }
      await body.writeTo(file, 0)
      return { sql: readingFrom(inUrl, statement, file), statement }
    }
    // As on a server, the body goes on where the URL ended.
    const sql = body.head.length === 0 ? inUrl : `${inUrl}\n${wholeText(body)}`
    return { sql, statement: readStatement(sql) }
  }
  // Latin-1, so that a character is a byte: rows after the statement may be binary.
  const bytes = body.head.toString('latin1')
  const statement = readStatement(bytes)
  if (statement.kind !== 'insert-data') return { sql: wholeText(body), statement }
  await body.writeTo(file, statement.dataAt)
  const head = readingFrom(bytes.slice(0, statement.dataAt), statement, file)
  return { sql: Buffer.from(head, 'latin1').toString('utf8'), statement }
}

function wholeText(body: RequestBody): string {
  if (body.complete && body.head.length <= limits.queryBytesMax) return body.head.toString('utf8')
  throw new ClickhouseFailure(
    62,
    'SYNTAX_ERROR',
    `Max query size exceeded: a statement may have ${limits.queryBytesMax} bytes`,
  )
}

function toEngineQuery(sql: string, { request, parameters: url, account, queryId }: Exchange): EngineQuery {
  const settings = new Map<string, string>()
  const parameters = new Map<string, string>()
  for (const [name, value] of url) {
    if (name.startsWith('param_')) parameters.set(requireName(name.slice('param_'.length)), value)
    else if (!reserved.has(name)) settings.set(requireName(name), value)
  }
  return {
    id: queryId,
    sql: killingBy(runningId, sql),
    settings,
    parameters,
    format: requireName(url.get('default_format') ?? String(request.headers['x-clickhouse-format'] ?? defaultFormat)),
    database: url.get('database') || String(request.headers['x-clickhouse-database'] ?? '') || undefined,
    readonly: strictest([account.readonly, wished(settings.get('readonly')), request.method === 'POST' ? 0 : 2]),
  }
}

/** What the request asks for itself, in a setting. */
function wished(readonly: string | undefined): ReadOnly {
  if (readonly === undefined || readonly === '0') return 0
  return readonly === '2' ? 2 : 1
}

/** As on a server: a GET never writes, and nobody gives himself more than his account has. */
function strictest(levels: readonly ReadOnly[]): ReadOnly {
  if (levels.includes(1)) return 1
  return levels.includes(2) ? 2 : 0
}

async function answerWhole(result: EngineResult, statement: Statement, output: Output): Promise<void> {
  const wrote = statement.kind === 'insert-data' || statement.kind === 'insert-select'
  const summary = {
    read_rows: String(result.rowsRead),
    read_bytes: String(result.bytesRead),
    written_rows: String(wrote ? result.rowsRead : 0),
    written_bytes: String(wrote ? result.bytesRead : 0),
    total_rows_to_read: '0',
    result_rows: String(wrote ? result.rowsRead : 0),
    result_bytes: String(wrote ? result.bytesRead : result.bytes.length),
    elapsed_ns: String(Math.round(result.elapsedS * 1e9)),
  }
  output.response.setHeader('X-ClickHouse-Summary', JSON.stringify(summary))
  if (output.encoding === undefined) {
    output.response.setHeader('Content-Length', result.bytes.length)
    output.response.writeHead(200).end(result.bytes)
    return
  }
  const body = openBody(output)
  body.end(result.bytes)
}

async function answerStream(options: HttpInterfaceOptions, query: EngineQuery, output: Output): Promise<void> {
  const gone = new AbortController()
  output.response.once('close', () => gone.abort())
  const tag = randomUUID().replaceAll('-', '').slice(0, 16)
  let body: Writable | undefined
  try {
    for await (const chunk of options.engine.stream(query, gone.signal)) {
      if (gone.signal.aborted) return
      body ??= openTagged()
      // Awaiting the write is what slows the engine down to the client's pace.
      if (!body.write(chunk)) await drained(body, gone.signal)
    }
    body ??= openTagged()
    body.end()
  } catch (error) {
    const failure = toFailure(error, new Map())
    if (body === undefined) throw failure
    // The status has been sent: the client finds the error in the tagged block at the end, and the answer incomplete.
    const text = failure.describe(options.engine.version).trimEnd()
    const message = `${text}\n`
    body.end(`\r\n__exception__\r\n${tag}\r\n${message}${Buffer.byteLength(message)} ${tag}\r\n__exception__\r\n`)
  }

  function openTagged(): Writable {
    output.response.setHeader('X-ClickHouse-Exception-Tag', tag)
    return openBody(output)
  }
}

interface Output {
  readonly response: ServerResponse
  readonly encoding: Encoding | undefined
}

function openBody({ response, encoding }: Output): Writable {
  if (encoding !== undefined) response.setHeader('Content-Encoding', encoding)
  response.writeHead(200)
  const body = encoding === undefined ? new PassThrough() : encoders[encoding]()
  response.once('close', () => body.destroy())
  body.on('error', () => response.destroy())
  body.pipe(response)
  return body
}

/** Resolves when the body takes more, or when nobody reads it any more. */
async function drained(body: Writable, signal: AbortSignal): Promise<void> {
  // An abort or an error ends the wait: the caller looks at the signal.
  if (!signal.aborted && !body.destroyed) await once(body, 'drain', { signal }).catch(() => undefined)
}

function answerFailure(options: HttpInterfaceOptions, response: ServerResponse, failure: ClickhouseFailure): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  if (failure.httpStatus === 500) options.log(failure.describe(options.engine.version).trim())
  response.setHeader('X-ClickHouse-Exception-Code', failure.code)
  if (failure.httpStatus === 401) response.setHeader('WWW-Authenticate', 'Basic realm="ClickHouse server HTTP API"')
  answerText(response, failure.httpStatus, failure.describe(options.engine.version))
}

function answerText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=UTF-8', 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
}

function refuseUnsupported(request: IncomingMessage, parameters: URLSearchParams): void {
  const refuse = (what: string) => {
    throw new ClickhouseFailure(
      48,
      'NOT_IMPLEMENTED',
      `${what} not supported by the embedded ClickHouse of the development stack`,
    )
  }
  if (request.headers['content-type']?.startsWith('multipart/') === true)
    refuse('External tables (multipart bodies) are')
  if (isOn(parameters.get('compress')) || isOn(parameters.get('decompress')))
    refuse("ClickHouse's native body compression (compress, decompress) is")
  if (parameters.has('session_id')) refuse('HTTP sessions (session_id) are')
}

function requireName(name: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return name
  throw new ClickhouseFailure(36, 'BAD_ARGUMENTS', `"${name}" is no name of a setting, parameter or format`)
}

function revisionOf(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new ClickhouseFailure(36, 'BAD_ARGUMENTS', `client_protocol_version must be a whole number, not "${text}"`)
}

function formatOf(statement: Statement): string | undefined {
  return statement.kind === 'select' || statement.kind === 'rows' ? statement.format : undefined
}

/** The first of ours that the client takes, when it asks for compression at all. */
function encodingOf(request: IncomingMessage, parameters: URLSearchParams): Encoding | undefined {
  if (!isOn(parameters.get('enable_http_compression'))) return undefined
  const accepted = String(request.headers['accept-encoding'] ?? '')
    .split(',')
    .map((part) => part.split(';')[0]?.trim().toLowerCase())
  return encodings.find((encoding) => accepted.includes(encoding))
}

function isOn(value: string | null): boolean {
  return value === '1' || value === 'true'
}

const encodings = ['gzip', 'zstd', 'deflate', 'br'] as const
type Encoding = (typeof encodings)[number]

/** Light ones: the client is near. */
const encoders: Readonly<Record<Encoding, () => Transform>> = {
  gzip: () => createGzip({ level: 3 }),
  zstd: () => createZstdCompress(),
  deflate: () => createDeflate({ level: 3 }),
  br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
}

/** Parameters of the URL that are not settings. */
const reserved: ReadonlySet<string> = new Set([
  'buffer_size',
  'client_protocol_version',
  'close_session',
  'compress',
  'database',
  'decompress',
  'default_format',
  'enable_http_compression',
  'password',
  'query',
  'query_id',
  'quota_key',
  'role',
  'session_check',
  'session_timeout',
  'stacktrace',
  'user',
  'wait_end_of_query',
])
