import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { installSchemathesis, run, runSchemathesis } from './schemathesis.ts'

/** A bound for a busy machine; a run of one role takes some 15 s on a quiet one. */
const timeoutMs = 10 * 60_000
/** The same requests in every run. */
const seed = 20_251_124
const examples = 3
const cli = fileURLToPath(new URL('../../services/cli/src/main.ts', import.meta.url))
const scopes = ['events:write', 'events:read', 'stats:read', 'leads:write', 'leads:read']

const gatewayUrl = requiredUrl('MILLRACE_GATEWAY_URL')
let schemathesis: string
let admin: Account

interface Account {
  readonly username: string
  readonly password: string
}

beforeAll(async () => {
  schemathesis = await installSchemathesis()
  admin = await createAccount('admin')
}, timeoutMs)

// Schemathesis makes requests of the document, right ones and wrong ones, and applies all of its checks to the answers: documented statuses,
// types, schemas and headers, wrong data refused and right data taken, no access without credentials, 405 with `Allow`.
describe('the gateway keeps to its own document', () => {
  it.each(['admin', 'user', 'analyst', 'producer'] as const)(
    'for the role %s',
    { timeout: timeoutMs },
    async (role) => {
      const account = role === 'admin' ? admin : await createAccount(role)
      await expectKept(account, `Bearer ${await login(account)}`)
    },
  )

  it('for an API key', { timeout: timeoutMs }, async () => {
    const body = { username: admin.username, scopes, label: 'contract test' }
    const made = await post('/api/v1/api-keys', body, { authorization: `Bearer ${await login(admin)}` })
    await expectKept(admin, `Bearer ${String(made.key)}`)
  })
})

async function expectKept(account: Account, authorization: string): Promise<void> {
  const ended = await runSchemathesis(schemathesis, { gatewayUrl, authorization, account, examples, seed })
  expect(ended.code, complaintsIn(ended.output)).toBe(0)
  // Who was not let in all the time has seen nothing but 401, which is documented, too.
  const profile = await fetch(`${gatewayUrl}/api/v1/user/profile`, { headers: { authorization } })
  expect(profile.status).toBe(200)
}

/** What Schemathesis says is wrong, without the progress before it: the beginning of a reason is what is kept of a failed test. */
function complaintsIn(output: string): string {
  const begin = output.search(/^=+ (?:ERRORS|FAILURES) =+$/m)
  return begin < 0 ? output : output.slice(begin).replaceAll(/[=_]{3,}/g, '')
}

/** An account of this run alone: what is done in its name is in no other test's way. */
async function createAccount(role: string): Promise<Account> {
  const account = { username: `contract-${role}-${randomUUID().slice(0, 8)}`, password: randomUUID() }
  const made = await run(process.execPath, [cli, 'users', 'create', account.username, '--role', role], {
    env: process.env,
    input: account.password,
  })
  expect(made.code, made.output).toBe(0)
  return account
}

async function login(account: Account): Promise<string> {
  return String((await post('/api/v1/login', account)).token)
}

async function post(
  path: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const answer = await fetch(`${gatewayUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const text = await answer.text()
  expect(answer.ok, text).toBe(true)
  const parsed: unknown = JSON.parse(text)
  return { ...Object(parsed) }
}

function requiredUrl(name: string): string {
  const url = process.env[name]
  if (url === undefined) throw new Error(`${name} is not set: run this test with \`npm run test:contract\``)
  return url.replace(/\/$/, '')
}
