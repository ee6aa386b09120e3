import type { RefinedResponse } from 'k6/http'
import http from 'k6/http'
import { gatewayUrl, textSetting } from './settings.ts'

/** Who sends: each request is sent by the role that it takes, never by one that may do more. */
export const roles = ['producer', 'submitter', 'analyst', 'admin'] as const
export type Role = (typeof roles)[number]

/** What a login or a refresh gives, and when it was. Plain data: k6 hands it from `setup` to the virtual users as JSON. */
export interface Session {
  readonly token: string
  readonly refreshToken: string
  readonly sinceMs: number
  readonly lifeMs: number
}

/** The accounts of a development stack; another one needs the variables. */
const accounts: Readonly<Record<Role, { username: string; password: string }>> = {
  producer: {
    username: textSetting('PRODUCER_USERNAME', 'api_user'),
    password: textSetting('PRODUCER_PASSWORD', 'api123'),
  },
  submitter: {
    username: textSetting('SUBMITTER_USERNAME', 'user'),
    password: textSetting('SUBMITTER_PASSWORD', 'password123'),
  },
  analyst: {
    username: textSetting('ANALYST_USERNAME', 'analyst'),
    password: textSetting('ANALYST_PASSWORD', 'analyst123'),
  },
  admin: { username: textSetting('ADMIN_USERNAME', 'admin'), password: textSetting('ADMIN_PASSWORD', 'password') },
}

/** Renewals begin after this part of a token's life and end after that one: spread, for an address may log in 60 times a minute. */
const renewFrom = 0.3
const renewUntil = 0.85
/** After a renewal that failed: the token is still good for a while. */
const renewAgainMs = 5_000

/** Logs in. Throws when the gateway refuses: in `setup` that ends the run. */
export function logIn(role: Role): Session {
  const answer = post('/api/v1/login', accounts[role])
  if (answer.status !== 200) throw new Error(`the login of "${accounts[role].username}" gave ${explain(answer)}`)
  return sessionOf(answer)
}

/** The tokens of one virtual user. Virtual users share no memory, and a refresh token is good once: so each has sessions of its own, from the first renewal on. */
export class Tokens {
  readonly #shared: Readonly<Partial<Record<Role, Session>>>
  readonly #own: Partial<Record<Role, Session>> = {}
  readonly #renewAtMs: Partial<Record<Role, number>> = {}

  /** `shared` is what `setup` logged in for everybody: good until each virtual user has its own. */
  constructor(shared: Readonly<Partial<Record<Role, Session>>>) {
    this.#shared = shared
  }

  /** The `authorization` header of a role; renews the token when its time has come. */
  authorization(role: Role): string {
    let session = this.#own[role] ?? this.#shared[role]
    if (session === undefined) throw new Error(`nobody has logged in as ${role}`)
    this.#renewAtMs[role] ??= renewalOf(session)
    if (Date.now() >= this.#renewAtMs[role]) session = this.#renew(role, session)
    return `Bearer ${session.token}`
  }

  #renew(role: Role, session: Session): Session {
    const own = this.#own[role]
    const answer =
      own === undefined
        ? post('/api/v1/login', accounts[role])
        : post('/api/v1/token/refresh', { refresh_token: own.refreshToken })
    if (answer.status !== 200) {
      console.warn(`a token of ${role} was not renewed: ${explain(answer)}`)
      // A refresh token is good once, and nobody knows whether this one was taken: log in anew.
      if (own !== undefined) delete this.#own[role]
      this.#renewAtMs[role] = Date.now() + renewAgainMs * (1 + Math.random())
      return session
    }
    const renewed = sessionOf(answer)
    this.#own[role] = renewed
    this.#renewAtMs[role] = renewalOf(renewed)
    return renewed
  }
}

function renewalOf({ sinceMs, lifeMs }: Session): number {
  return sinceMs + lifeMs * (renewFrom + (renewUntil - renewFrom) * Math.random())
}

function sessionOf(answer: RefinedResponse<'text'>): Session {
  const { token, refresh_token: refreshToken, expires_in: seconds } = JSON.parse(answer.body)
  return { token, refreshToken, sinceMs: Date.now(), lifeMs: seconds * 1_000 }
}

function post(path: string, body: object): RefinedResponse<'text'> {
  return http.post(`${gatewayUrl}${path}`, JSON.stringify(body), {
    headers: { 'content-type': 'application/json' },
    responseType: 'text',
    tags: { name: path },
  })
}

/** An answer in one line, for messages. */
export function explain({ status, error, body }: RefinedResponse<'text'>): string {
  return status === 0 ? error : `${status} ${body.slice(0, 300)}`
}
