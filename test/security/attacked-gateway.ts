import type { Role } from '@millrace/storage/accounts'
import { openTestApp, type TestApp } from '../../services/gateway/test/test-app.ts'
import type { Answer as ClientAnswer } from '../e2e/gateway-client.ts'

/** An answer with its body read, and parsed when it is JSON. */
export type Answer = Pick<ClientAnswer, 'status' | 'headers' | 'body'>

/** A request, as far as it differs from a plain GET of nobody. */
export interface AttackRequest {
  readonly method?: string
  /** Sends the token of an account with this role. */
  readonly role?: Role
  readonly headers?: Readonly<Record<string, string>>
  /** An object goes as JSON; text and bytes go as they are. */
  readonly body?: string | Uint8Array<ArrayBuffer> | object
}

/** The gateway over fakes, listening: attacks come over sockets, as they do elsewhere. */
export interface AttackedGateway {
  readonly test: TestApp
  readonly port: number
  readonly url: string
  ask(path: string, request?: AttackRequest): Promise<Answer>
}

type Change = Parameters<typeof openTestApp>[0]
type Prepare = Parameters<typeof openTestApp>[1]

/** Opens a gateway, lets it be attacked, and closes it whatever comes of it. `change` and `prepare` are those of `openTestApp`. */
export async function attackGateway<T>(
  attack: (gateway: AttackedGateway) => Promise<T>,
  change?: Change,
  prepare?: Prepare,
): Promise<T> {
  const test = await openTestApp(change, prepare)
  try {
    const url = await test.app.listen({ host: '127.0.0.1', port: 0 })
    const ask = (path: string, request: AttackRequest = {}) => askOver(test, url + path, request)
    return await attack({ test, url, port: Number(new URL(url).port), ask })
  } finally {
    await test.close()
  }
}

async function askOver(test: TestApp, url: string, request: AttackRequest): Promise<Answer> {
  const { role, body } = request
  const headers = new Headers(request.headers)
  if (role !== undefined) headers.set('authorization', test.bearer(role))
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  if (body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json')
  const method = request.method ?? (body === undefined ? 'GET' : 'POST')
  const init = { method, headers, redirect: 'manual' } as const
  const sent = body === undefined ? undefined : isRaw ? body : JSON.stringify(body)
  return answerOf(await fetch(url, sent === undefined ? init : { ...init, body: sent }))
}

/** Reads an answer. */
export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = (response.headers.get('content-type') ?? '').includes('json') && text !== ''
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
}
