import { createHmac, createSign, generateKeyPairSync, randomBytes } from 'node:crypto'
import { hashPassword } from '@millrace/storage/accounts'
import { describe, expect, it } from 'vitest'
import type { SessionState } from '../../services/gateway/src/accounts/ports.ts'
import { readGatewayConfig } from '../../services/gateway/src/config.ts'
import type { GatewayApp } from '../../services/gateway/src/http/gateway-app.ts'
import { MemoryAccounts } from '../../services/gateway/test/memory-accounts.ts'
import { secret } from '../../services/gateway/test/test-app.ts'
import { type AttackedGateway, attackGateway } from './attacked-gateway.ts'
import { mustFail } from './proof.ts'
import { exchange } from './raw-http.ts'

const now = Math.floor(Date.now() / 1_000)
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const header = { alg: 'HS256', typ: 'at+jwt' }
const claims = {
  sub: 'id-of-admin',
  username: 'admin',
  role: 'admin',
  sid: 'session-1',
  jti: 'j',
  iss: 'millrace',
  aud: 'millrace-api',
  iat: now,
  exp: now + 840,
}
const hmac = (head: object, body: object, key: string, algorithm = 'sha256') => {
  const input = `${encode(head)}.${encode(body)}`
  return `${input}.${createHmac(algorithm, key).update(input).digest('base64url')}`
}
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const jwk = pair.publicKey.export({ format: 'jwk' })
const rsa = (head: object) => {
  const input = `${encode(head)}.${encode(claims)}`
  return `${input}.${createSign('RSA-SHA256').update(input).sign(pair.privateKey).toString('base64url')}`
}
const unsigned = (alg: string) => `${encode({ alg, typ: 'at+jwt' })}.${encode(claims)}.`
const without = (name: string) => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name))
/** Of one who has a good token of less and writes more into it. */
const altered = hmac(header, { ...claims, role: 'user' }, secret).replace(/\.[^.]+\./, `.${encode(claims)}.`)

/** Tokens that a gateway which only decodes would take: it is the check named that refuses them. */
const forged: Readonly<Record<string, string>> = {
  'no algorithm': unsigned('none'),
  'no algorithm, spelt None': unsigned('None'),
  'no algorithm, spelt nOnE': unsigned('nOnE'),
  'no algorithm, and a signature': hmac({ ...header, alg: 'none' }, claims, secret),
  'no signature': unsigned('HS256'),
  'the signature of something else': altered,
  'another key': hmac(header, claims, 'x'.repeat(48)),
  'an empty key': hmac(header, claims, ''),
  'HS512 and our key': hmac({ ...header, alg: 'HS512' }, claims, secret, 'sha512'),
  'RS256 and a key of its own': rsa({ alg: 'RS256', typ: 'at+jwt' }),
  'RS256 and its key in the header': rsa({ alg: 'RS256', typ: 'at+jwt', jwk }),
  'a public key as secret': hmac(header, claims, pem),
  'a public key as secret, after a line break': hmac(header, claims, `\n${pem}`),
  'a key id that is an empty file': hmac({ ...header, kid: '../../../../dev/null' }, claims, ''),
  'a key id that is SQL': hmac({ ...header, kid: "x' UNION SELECT 'key" }, claims, 'key'),
  'a key to be fetched': hmac({ ...header, jku: 'https://evil.example/jwks.json' }, claims, 'key'),
  'a certificate to be fetched': hmac({ ...header, x5u: 'https://evil.example/cert.pem' }, claims, 'key'),
  'its key in the header': hmac({ ...header, jwk: { kty: 'oct', k: 'a2V5' } }, claims, 'key'),
  'an unknown critical header': hmac({ ...header, crit: ['b64'], b64: false }, claims, secret),
  'another type': hmac({ ...header, typ: 'JWT' }, claims, secret),
  'no type': hmac({ alg: 'HS256' }, claims, secret),
  'another audience': hmac(header, { ...claims, aud: 'other' }, secret),
  'no audience': hmac(header, without('aud'), secret),
  'another issuer': hmac(header, { ...claims, iss: 'other' }, secret),
  'no issuer': hmac(header, without('iss'), secret),
  'no id': hmac(header, without('jti'), secret),
  'a beginning in the future': hmac(header, { ...claims, nbf: now + 3_000 }, secret),
  'an end far from its beginning': hmac(header, { ...claims, iat: now - 90_000 }, secret),
}

/** Tokens with our signature that say too little, too much or nonsense. */
const odd: Readonly<Record<string, string>> = {
  expired: hmac(header, { ...claims, iat: now - 700, exp: now - 60 }, secret),
  'no end': hmac(header, without('exp'), secret),
  'a text as end': hmac(header, { ...claims, exp: String(now + 600) }, secret),
  'a list as end': hmac(header, { ...claims, exp: [now + 600] }, secret),
  'no beginning': hmac(header, without('iat'), secret),
  'made in the future': hmac(header, { ...claims, iat: now + 3_000, exp: now + 3_600 }, secret),
  'no subject': hmac(header, without('sub'), secret),
  'a number as subject': hmac(header, { ...claims, sub: 7 }, secret),
  'no session': hmac(header, without('sid'), secret),
  'a session that there is not': hmac(header, { ...claims, sid: 'another' }, secret),
  'the session of somebody else': hmac(header, { ...claims, sub: 'somebody else' }, secret),
  'another role than the account has': hmac(header, { ...claims, role: 'user' }, secret),
  'an unknown role': hmac(header, { ...claims, role: 'emperor' }, secret),
  'a list of roles': hmac(header, { ...claims, role: ['admin'] }, secret),
  'claims that are null': hmac(header, JSON.parse('[null]')[0] ?? [], secret),
  'no token': 'nonsense',
  'four parts': `${hmac(header, claims, secret)}.x`,
}

async function ask({ test, ask: send }: AttackedGateway, token: string) {
  const session = { id: 'session-1', userId: 'id-of-admin', username: 'admin', role: 'admin' }
  test.accounts.addSession({ ...session, expiresAtMs: (now + 3_600) * 1_000 })
  const { status, body } = await send('/api/v1/user/profile', { headers: { authorization: `Bearer ${token}` } })
  return { status, detail: body.detail }
}

const refused = { status: 401, detail: 'The token is not valid, or not any more: log in again.' }

async function present(tokens: Readonly<Record<string, string>>, prepare?: (app: GatewayApp) => void): Promise<void> {
  await attackGateway(
    async (gateway) => {
      for (const [what, token] of Object.entries(tokens)) {
        expect({ what, ...(await ask(gateway, token)) }).toEqual({ what, ...refused })
      }
    },
    {},
    prepare,
  )
}

/** A gateway that believes what a token says. */
function onlyDecode(app: GatewayApp): void {
  const decode = (text: string) => JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString())
  Object.assign(app.jwt, { verify: decode })
}

describe('S07 forged tokens', () => {
  it('are refused, all with one sentence', () => present({ ...forged, ...odd }))

  it('proof: each would be taken if tokens were only decoded', async () => {
    for (const [what, token] of Object.entries(forged).slice(0, 1)) {
      await mustFail(() => present({ [what]: token }, onlyDecode))
    }
    await attackGateway(
      async (gateway) => {
        for (const [what, token] of Object.entries(forged)) {
          expect({ what, status: (await ask(gateway, token)).status }).toEqual({ what, status: 200 })
        }
      },
      {},
      onlyDecode,
    )
  })

  it('are told from one that is ours', async () => {
    await attackGateway(async (gateway) => {
      expect((await ask(gateway, hmac(header, claims, secret))).status).toBe(200)
    })
  })

  it('of any length end as an error of the client', async () => {
    await attackGateway(async ({ port }) => {
      for (const chars of [5_000, 12_000, 100_000]) {
        const token = `a.${'b'.repeat(chars)}.c`
        const head = 'GET /api/v1/user/profile HTTP/1.1\r\nHost: x\r\nConnection: close'
        const { statuses } = await exchange(port, [`${head}\r\nAuthorization: Bearer ${token}\r\n\r\n`])
        expect([chars, statuses]).toEqual([chars, [chars < 16_000 ? 401 : 431]])
      }
    })
  })
})

describe('S07 tokens that were good', () => {
  type Pair = { readonly token: string; readonly refresh_token: string }
  interface Owner {
    readonly gateway: AttackedGateway
    readonly memory: MemoryAccounts
    readonly id: string
  }
  const bearer = ({ token }: Pair) => ({ authorization: `Bearer ${token}` })
  const endings: Readonly<Record<string, (owner: Owner, pair: Pair) => Promise<unknown>>> = {
    logout: ({ gateway }, pair) => gateway.ask('/api/v1/logout', { method: 'POST', headers: bearer(pair) }),
    'a refresh token that came twice': async ({ gateway }, { refresh_token }) => {
      for (let i = 0; i < 2; i++) await gateway.ask('/api/v1/token/refresh', { body: { refresh_token } })
    },
    'an account that was disabled': async ({ memory, id }) => memory.change(id, { disabled: true }),
    'another role': async ({ memory, id }) => memory.change(id, { role: 'producer' }),
  }

  /** Ends the session of one account in each way, and shows its token again. */
  async function reuse(isWatched: boolean): Promise<void> {
    const memory = new MemoryAccounts(Date.now)
    const passwordHash = await hashPassword('password')
    for (const [index] of Object.keys(endings).entries()) {
      const username = `ann-${index}`
      memory.byName.set(username, { id: username, username, role: 'analyst', passwordHash, disabled: false })
    }
    const accounts = isWatched ? memory : { ...memory, sessions: { ...memory.sessions, states: alwaysGood } }
    await attackGateway(
      async (gateway) => {
        for (const [index, [what, end]] of Object.entries(endings).entries()) {
          const id = `ann-${index}`
          const login = await gateway.ask('/api/v1/login', { body: { username: id, password: 'password' } })
          goodUserOf.set(sessionIn(login.body.token), id)
          const profile = async () =>
            (await gateway.ask('/api/v1/user/profile', { headers: bearer(login.body) })).status
          expect([what, await profile()]).toEqual([what, 200])
          await end({ gateway, memory, id }, login.body)
          await gateway.test.credentials.refresh()
          expect([what, await profile()]).toEqual([what, 401])
        }
      },
      { accounts },
    )
  }

  const goodUserOf = new Map<string, string>()
  const sessionIn = (token: string): string =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sid
  /** Sessions are not looked at: whatever is asked for is the analyst's, and good. */
  const alwaysGood = async (ids: readonly string[]): Promise<SessionState[]> => {
    const good = { role: 'analyst', disabled: false, ended: false, expiresAtMs: Date.now() + 600_000 }
    return ids.map((id) => ({ ...good, id, userId: goodUserOf.get(id) ?? '', username: goodUserOf.get(id) ?? '' }))
  }

  it('are refused after the end of their session', () => reuse(true))
  it('proof: they would go on if nobody looked', () => mustFail(() => reuse(false)))
})

describe('S07 the key of tokens', () => {
  const passwords = {
    MILLRACE_MYSQL_PASSWORD: 'a-b-c-d',
    MILLRACE_CLICKHOUSE_PASSWORD: 'a-b-c-d',
    MILLRACE_LEAD_KEY: randomBytes(32).toString('base64'),
  }
  const read = (key: string | undefined) =>
    readGatewayConfig(key === undefined ? passwords : { ...passwords, MILLRACE_JWT_SECRET: key })

  it.each([
    undefined,
    '',
    'short',
    '5f0c9a1e7b3d2864a0c7e9f1b2d3a45',
    'a'.repeat(64),
    'change-me-change-me-change-me-change-me',
    'development-secret-of-a-compose-file-0123456789',
  ])('must be long and random: not %j', (key) => {
    expect(() => read(key)).toThrow('MILLRACE_JWT_SECRET')
  })

  it('is taken when it is', () => {
    expect(read('5f0c9a1e7b3d2864a0c7e9f1b2d3a4556f').jwtSecret).toHaveLength(34)
  })
})
