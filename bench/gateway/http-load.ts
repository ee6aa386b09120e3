import { connect, type Socket } from 'node:net'
import { BenchError } from '../bench-error.ts'
import { type Percentiles, percentilesOf } from '../streams/percentiles.ts'

/** What is sent, again and again, and by how many at once. */
export interface HttpLoadOptions {
  readonly port: number
  /** Whole requests, head and body; each connection sends them in turn. */
  readonly requests: readonly Buffer[]
  readonly connections: number
  readonly durationMs: number
  /** The only status that is right. */
  readonly status: number
  readonly signal: AbortSignal
}

/** What was answered. */
export interface HttpLoadResult {
  readonly requests: number
  readonly seconds: number
  readonly latencyMs: Percentiles
}

/** An answer's head is read as text; ours have some 700 bytes. */
const headBytesMax = 16 * 1024
const headEnd = Buffer.from('\r\n\r\n')

/**
 * Sends requests over connections that stay open, each connection its next request as soon as the last one is answered. Written on sockets,
 * because the machine is shared with what is measured: a client library would take more CPU than some servers. Throws a `BenchError` at the
 * first answer with another status, with that answer's text.
 */
export async function httpLoad(options: HttpLoadOptions): Promise<HttpLoadResult> {
  const { requests, durationMs } = options
  const endMs = performance.now() + durationMs
  const turns = Array.from({ length: options.connections }, (_, index) => index)
  return await sendAll({
    ...options,
    next(connection) {
      const turn = turns[connection] ?? 0
      turns[connection] = turn + 1
      const isFirst = turn === connection
      return isFirst || performance.now() < endMs ? requests[turn % requests.length] : undefined
    },
  })
}

/** What is sent, one request after the other on each connection, until there is none any more. */
export interface HttpSendOptions extends Pick<HttpLoadOptions, 'port' | 'connections' | 'status' | 'signal'> {
  /** The next request of a connection; undefined when it has sent all. */
  readonly next: (connection: number) => Buffer | undefined
}

/** Sends what `next` gives, as `httpLoad` does. */
export async function sendAll(options: HttpSendOptions): Promise<HttpLoadResult> {
  const startedMs = performance.now()
  const latencies: number[] = []
  const connections = Array.from(
    { length: options.connections },
    (_, index) => new Connection(options, { index, latencies }),
  )
  try {
    await Promise.all(connections.map((connection) => connection.done))
  } finally {
    for (const connection of connections) connection.close()
  }
  const seconds = (performance.now() - startedMs) / 1_000
  return { requests: latencies.length, seconds, latencyMs: percentilesOf(latencies) }
}

/** A whole HTTP/1.1 request. */
export function requestBytes(
  line: string,
  headers: Readonly<Record<string, string>>,
  body: Buffer = Buffer.alloc(0),
): Buffer {
  const all = { host: '127.0.0.1', ...headers, ...(body.length > 0 ? { 'content-length': String(body.length) } : {}) }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`${line} HTTP/1.1\r\n${head.join('')}\r\n`, 'latin1'), body])
}

class Connection {
  readonly done: Promise<void>
  readonly #socket: Socket
  readonly #options: HttpSendOptions
  readonly #latencies: number[]
  readonly #index: number
  readonly #finish: PromiseWithResolvers<void> = Promise.withResolvers()
  #sentMs = 0
  #received: Buffer = Buffer.alloc(0)
  /** Bytes of the answer's body that are still to come; −1 while its head is read. */
  #bodyLeft = -1

  constructor(
    options: HttpSendOptions,
    { index, latencies }: { readonly index: number; readonly latencies: number[] },
  ) {
    this.#options = options
    this.#latencies = latencies
    this.#index = index
    this.done = this.#finish.promise
    this.#socket = connect({ host: '127.0.0.1', port: options.port, noDelay: true })
    this.#socket.on('connect', () => this.#send())
    this.#socket.on('data', (bytes) => this.#take(bytes))
    this.#socket.on('error', (error) => this.#fail(`a connection broke: ${error.message}`))
    this.#socket.on('close', () => this.#fail('a connection was closed'))
    options.signal.addEventListener('abort', () => this.#fail('stopped'), { once: true })
  }

  close(): void {
    this.#socket.destroy()
  }

  #send(): void {
    const request = this.#options.next(this.#index)
    this.#sentMs = performance.now()
    if (request === undefined) this.#finish.resolve()
    else this.#socket.write(request)
  }

  #take(bytes: Buffer): void {
    if (this.#bodyLeft >= 0) {
      this.#bodyLeft -= bytes.length
      if (this.#bodyLeft <= 0) this.#answered()
      return
    }
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes])
    const end = this.#received.indexOf(headEnd)
    if (end < 0) {
      if (this.#received.length > headBytesMax) this.#fail('an answer has a head without end')
      return
    }
    const head = this.#received.toString('latin1', 0, end)
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    const status = Number(head.slice(9, 12))
    if (status !== this.#options.status || length === undefined) {
      this.#fail(`an answer is not as expected: ${this.#received.toString('utf8', 0, 2_000)}`)
      return
    }
    this.#bodyLeft = Number(length) - (this.#received.length - end - headEnd.length)
    this.#received = Buffer.alloc(0)
    if (this.#bodyLeft <= 0) this.#answered()
  }

  #answered(): void {
    this.#bodyLeft = -1
    this.#latencies.push(performance.now() - this.#sentMs)
    this.#send()
  }

  #fail(why: string): void {
    this.#finish.reject(new BenchError(why))
  }
}
