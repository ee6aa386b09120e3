import { setTimeout as sleep } from 'node:timers/promises'

/** A development account, as `npm start` seeds them. */
export const accounts = {
  admin: { username: 'admin', password: 'password' },
  user: { username: 'user', password: 'password123' },
  producer: { username: 'api_user', password: 'api123' },
  analyst: { username: 'analyst', password: 'analyst123' },
} as const
export type Account = keyof typeof accounts

/** An answer of the gateway with its body parsed. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  // The tests look into the answer and compare; its shape is what they are about.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly body: any
  /** The body as it came. */
  readonly text: string
}

/** Reads a required variable: integration tests fail without their servers, they are never skipped. */
export function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`${name} is not set: run these tests with \`npm test\``)
  return value
}

type Sent = readonly [
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer>,
  headers?: Record<string, string>,
]

/** How long a gateway that has too much to do is asked again. */
const overloadedMsMax = 30_000

/** Speaks to the running gateway as one of the development accounts; sends again what a busy one sends away (`503`, `OVERLOADED`), as it asks for. */
export class GatewayClient {
  readonly #url = required('MILLRACE_GATEWAY_URL')
  readonly #token: string | undefined

  private constructor(token: string | undefined) {
    this.#token = token
  }

  static anonymous(): GatewayClient {
    return new GatewayClient(undefined)
  }

  static withToken(token: string): GatewayClient {
    return new GatewayClient(token)
  }

  static async as(account: Account): Promise<GatewayClient> {
    const answer = await GatewayClient.anonymous().post('/api/v1/login', accounts[account])
    if (answer.status !== 200) throw new Error(`Login as ${account} gave ${answer.status}: ${answer.text}`)
    return new GatewayClient(answer.body.token)
  }

  get(path: string): Promise<Answer> {
    return this.#request('GET', path)
  }

  delete(path: string): Promise<Answer> {
    return this.#request('DELETE', path)
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#request('POST', path, JSON.stringify(body), { 'content-type': 'application/json', ...headers })
  }

  postText(path: string, body: string, contentType: string): Promise<Answer> {
    return this.#request('POST', path, body, { 'content-type': contentType })
  }

  postBytes(path: string, body: Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Answer> {
    return this.#request('POST', path, body, headers)
  }

  async #request(...sent: Sent): Promise<Answer> {
    const deadlineMs = Date.now() + overloadedMsMax
    for (;;) {
      const answer = await this.#send(...sent)
      // Whoever is sent away so has left nothing behind.
      const isSentAway = answer.status === 503 && answer.body.code === 'OVERLOADED'
      if (!isSentAway || Date.now() > deadlineMs) return answer
      await sleep(1_000 * Number(answer.headers.get('retry-after') ?? 1))
    }
  }

  async #send(...[method, path, body, headers = {}]: Sent): Promise<Answer> {
    const authorization: Record<string, string> =
      this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }
    const init: RequestInit = { method, headers: { ...authorization, ...headers } }
    const response = await fetch(`${this.#url}${path}`, body === undefined ? init : { ...init, body })
    const text = await response.text()
    const isJson = (response.headers.get('content-type') ?? '').includes('json')
    const parsed = isJson && text !== '' ? JSON.parse(text) : text
    return { status: response.status, headers: response.headers, body: parsed, text }
  }
}

/** Asks again until nothing is wrong, neither with the asking nor for `check`; fails with the last word when `withinMs` is over. */
export async function eventually<T>(withinMs: number, look: () => Promise<T>, check: (found: T) => void): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      const found = await look()
      check(found)
      return found
    } catch (error) {
      if (Date.now() > deadline) throw error
      await sleep(100)
    }
  }
}
