import { Readable } from 'node:stream'
import { parseApiKey, secretMatches, verifyPassword } from '@millrace/storage/accounts'
import { type ListedApiKey, type NewApiKey, StorageError, type StoredUser } from '@millrace/storage/mysql'
import { beforeEach, describe, expect, it } from 'vitest'
import { runAudit } from './audit.ts'
import { runKeys } from './keys.ts'
import { readPasswordFrom } from './password-input.ts'
import { runUsers } from './users.ts'

const nowMs = Date.UTC(2026, 10, 21)
const shop: StoredUser = {
  id: 'u-1',
  username: 'shop',
  role: 'producer',
  passwordHash: '',
  disabled: false,
  createdAt: new Date(nowMs),
  updatedAt: new Date(nowMs),
}
let printed: string[]
let told: string[]
let calls: unknown[]

beforeEach(() => {
  printed = []
  told = []
  calls = []
})

const print = (line: string) => void printed.push(line)
const tell = (line: string) => void told.push(line)

function keys(...args: string[]) {
  const listed: ListedApiKey = {
    id: 'a'.repeat(16),
    userId: 'u-1',
    username: 'shop',
    role: 'producer',
    disabled: false,
    revoked: false,
    scopes: ['events:write'],
    expiresAtMs: nowMs + 1,
    label: 'till\u001b[2J',
    createdAtMs: nowMs,
    lastUsedAtMs: null,
  }
  return runKeys(args, {
    keys: {
      create: async (key, by) => {
        if (key.label === 'one too many') throw new StorageError('ROW_REFUSED', 'x', { refusal: 'it has 100 keys' })
        calls.push([key, by])
      },
      list: async () => [listed, { ...listed, revoked: true, lastUsedAtMs: nowMs }],
      revoke: async (id) => id === 'a'.repeat(16),
    },
    users: { findByUsername: async (name) => (name === 'shop' ? shop : undefined) },
    nowMs: () => nowMs,
    print,
    tell,
  })
}

function users(password: string, ...args: string[]) {
  return runUsers(args, {
    users: {
      list: async () => [shop],
      create: async (user) => {
        if (user.username === 'shop') throw new StorageError('ROW_REFUSED', 'taken')
        calls.push(user)
      },
      update: async (username, change, by) => {
        calls.push([username, change, by])
        return username === 'shop'
      },
    },
    readPassword: async () => password,
    print,
    tell,
  })
}

describe('millrace keys', () => {
  it('makes a key, prints it alone, and stores its hash', async () => {
    await keys('create', 'shop', '--scopes', 'events:write', '--label', 'till', '--days', '30')
    expect(printed).toHaveLength(1)
    const key = parseApiKey(printed[0] ?? '')
    const [[stored, by]] = calls as [[NewApiKey, string]]
    expect(stored).toMatchObject({
      id: key?.id,
      username: 'shop',
      label: 'till',
      scopes: ['events:write'],
      expiresAtMs: nowMs + 30 * 86_400_000,
    })
    expect(by).toBe('command-line')
    expect(secretMatches(key?.secret ?? '', stored.secretHash)).toBe(true)
    expect(told.join()).not.toContain(key?.secret)
  })

  it.each([
    [['create'], 'USAGE', 'name one account'],
    [['create', 'shop'], 'USAGE', '--scopes must name'],
    [['create', 'shop', '--scopes', 'everything'], 'USAGE', '"everything" is no scope'],
    [['create', 'shop', '--scopes', 'events:write', '--days', '731'], 'USAGE', '--days must be'],
    [['create', 'shop', '--scopes', 'events:write', '--days', '0.5'], 'USAGE', '--days must be'],
    [['create', 'shop', '--scopes', 'events:write', '--label', 'x'.repeat(129)], 'USAGE', '--label has 129'],
    [['create', 'shop', '--scopes', 'events:write', '--secret', 'x'], 'USAGE', 'secret'],
    [['create', 'nobody', '--scopes', 'events:write'], 'REFUSED', 'no account "nobody"'],
    [['create', 'shop', '--scopes', 'events:write,leads:read'], 'REFUSED', 'cannot give leads:read'],
    [['create', 'shop', '--scopes', 'events:write', '--label', 'one too many'], 'REFUSED', 'it has 100 keys'],
    [['revoke', 'b'], 'REFUSED', 'no key "b"'],
    [['delete'], 'USAGE', 'millrace keys'],
  ])('%j is %s', async (args, code, message) => {
    await expect(keys(...args)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
    expect(calls).toEqual([])
  })

  it('lists keys with their state, and nothing that a terminal would obey', async () => {
    await keys('list')
    expect(printed[1]).toMatch(/^a{16} {2}shop {2}events:write {2}good {5}2026-11-21 {2}never .* till\?\[2J$/)
    expect(printed[2]).toContain('revoked')
    await keys('revoke', 'a'.repeat(16))
    expect(told.join()).toContain('is revoked')
  })
})

describe('millrace users', () => {
  it('makes an account whose password it does not keep', async () => {
    await users('correct horse battery', 'create', 'till-1', '--role', 'producer')
    const [user] = calls as [StoredUser]
    expect(user).toMatchObject({ username: 'till-1', role: 'producer' })
    expect(await verifyPassword('correct horse battery', user.passwordHash)).toBe(true)
    expect([...printed, ...told].join()).not.toContain('correct horse')
  })

  it.each([
    ['correct horse battery', ['create', 'shop', '--role', 'user'], 'REFUSED', 'already'],
    ['too short', ['create', 'ann', '--role', 'user'], 'REFUSED', 'must have 12 to 256'],
    ['x'.repeat(257), ['create', 'ann', '--role', 'user'], 'REFUSED', 'must have 12 to 256'],
    ['ANN-and-some-more', ['create', 'ann', '--role', 'user'], 'REFUSED', 'contain the username'],
    ['abababababababab', ['create', 'ann', '--role', 'user'], 'REFUSED', 'different characters'],
    ['correct horse battery', ['create', 'änn', '--role', 'user'], 'USAGE', 'no username'],
    ['correct horse battery', ['create', 'ann', '--role', 'root'], 'USAGE', 'no role'],
    ['correct horse battery', ['create', 'ann', 'bob', '--role', 'user'], 'USAGE', 'millrace users'],
    ['', ['role', 'shop'], 'USAGE', 'millrace users'],
    ['', ['role', 'shop', 'root'], 'USAGE', 'no role'],
    ['', ['disable', 'shop', 'now'], 'USAGE', 'millrace users'],
    ['', [], 'USAGE', 'millrace users'],
    ['', ['disable', 'nobody'], 'REFUSED', 'no account'],
    ['P@ssw0rd1234', ['create', 'ann', '--role', 'user'], 'REFUSED', 'common'],
    ['1qaz2wsx3edc4rfv', ['create', 'ann', '--role', 'user'], 'REFUSED', 'common'],
    ['millrace-2026-2026', ['password', 'shop'], 'REFUSED', 'common'],
  ])('with the password %j, %j is %s', async (password, args, code, message) => {
    await expect(users(password, ...args)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  })

  it('changes role, state and password', async () => {
    await users('', 'role', 'shop', 'analyst')
    await users('', 'disable', 'shop')
    await users('', 'enable', 'shop')
    await users('correct horse battery', 'password', 'shop')
    expect(calls).toMatchObject([
      ['shop', { role: 'analyst' }, 'command-line'],
      ['shop', { disabled: true }, 'command-line'],
      ['shop', { disabled: false }, 'command-line'],
      ['shop', { passwordHash: expect.stringContaining('$argon2id$') }, 'command-line'],
    ])
    await users('', 'list')
    expect(printed.join()).toMatch(/shop {2}producer {2}good/)
  })
})

describe('the password', () => {
  it('is one line of standard input', async () => {
    expect(await readPasswordFrom(Readable.from([Buffer.from('pass '), Buffer.from('wörd\r\n')]))).toBe('pass wörd')
    await expect(readPasswordFrom(Readable.from(['a\nb\n']))).rejects.toMatchObject({ code: 'REFUSED' })
    await expect(readPasswordFrom(Readable.from(['x'.repeat(2_000)]))).rejects.toMatchObject({ code: 'REFUSED' })
    const terminal = Object.assign(Readable.from([]), { isTTY: true })
    await expect(readPasswordFrom(terminal)).rejects.toMatchObject({ code: 'USAGE' })
  })
})

describe('millrace audit', () => {
  const audit = (brokenAt: number | undefined) => ({ verify: async () => ({ entries: 7, head: 'f00', brokenAt }) })

  it('tells the end of a chain that holds, and where another one breaks', async () => {
    await runAudit(['verify'], { audit: audit(undefined), print })
    expect(printed).toEqual(['7 entries, all as they were written; the last hash is f00'])
    await expect(runAudit(['verify'], { audit: audit(3), print })).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining('entry 3'),
    })
    await expect(runAudit([], { audit: audit(3), print })).rejects.toMatchObject({ code: 'USAGE' })
  })
})
