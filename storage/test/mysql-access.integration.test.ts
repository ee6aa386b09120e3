import { randomUUID } from 'node:crypto'
import { hashSecret, makeApiKey, makeRefreshToken } from '@millrace/storage/accounts'
import {
  createApiKeyRepository,
  createAuditRepository,
  createLoginAttemptRepository,
  createSessionRepository,
  createUserRepository,
  migrateMysql,
} from '@millrace/storage/mysql'
import { eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { apiKeys, auditHead, auditLog, loginAttempts, sessions } from '../src/mysql/schema.ts'
import { mysqlOfTests, uniqueName } from './servers.ts'

const mysql = mysqlOfTests()
let nowMs = Date.UTC(2026, 10, 21, 9)
const now = () => new Date(nowMs)
const users = createUserRepository(mysql, now)
const sessionsOf = createSessionRepository(mysql, now)
const keys = createApiKeyRepository(mysql, now)
const attempts = createLoginAttemptRepository(mysql, now)
const audit = createAuditRepository(mysql, now)
const hourMs = 3_600_000

beforeAll(() => migrateMysql(mysql))
beforeEach(() => {
  nowMs = Date.UTC(2026, 10, 21, 9)
})
afterAll(() => mysql.close())

async function makeUser(role = 'producer') {
  const user = { id: randomUUID(), username: uniqueName('ann'), passwordHash: 'hash', role }
  await users.create(user, 'command-line')
  return user
}

async function openSession(userId: string) {
  const token = makeRefreshToken()
  const id = randomUUID()
  const requestId = randomUUID()
  const refreshHash = hashSecret(token.secret)
  await sessionsOf.open({ id, userId, refreshId: token.id, refreshHash, expiresAtMs: nowMs + 5 * hourMs, requestId })
  return { id, token, requestId }
}

function refresh(token: { id: string; secret: string }) {
  const next = makeRefreshToken(token.id)
  const outcome = sessionsOf.refresh({
    refreshId: token.id,
    secret: token.secret,
    nextHash: hashSecret(next.secret),
    idleMsMax: hourMs,
    requestId: randomUUID(),
  })
  return outcome.then((result) => ({ ...result, next }))
}

const actionsOn = async (subject: string) =>
  (await audit.newest(1_000)).filter((entry) => entry.subject === subject).map(({ action }) => action)

describe('a session', () => {
  it('goes on with a new token each time, and keeps its end', async () => {
    const user = await makeUser('analyst')
    const { id, token } = await openSession(user.id)
    const first = await refresh(token)
    nowMs += hourMs
    const second = await refresh(first.next)
    const session = {
      id,
      userId: user.id,
      username: user.username,
      role: 'analyst',
      disabled: false,
      ended: false,
      expiresAtMs: Date.UTC(2026, 10, 21, 14),
    }
    expect(second).toMatchObject({ outcome: 'refreshed', session })
    expect(await sessionsOf.states([id, randomUUID()])).toEqual([session])
  })

  it('keeps no token that could be read out of the database', async () => {
    const { id, token } = await openSession((await makeUser()).id)
    const [row] = await mysql.run('reading', (database) => database.select().from(sessions).where(eq(sessions.id, id)))
    expect(JSON.stringify(row)).not.toContain(token.secret)
    expect(row?.refreshHash).toBe(hashSecret(token.secret))
  })

  it('ends for everybody when a replaced token comes again', async () => {
    const { id, token } = await openSession((await makeUser()).id)
    const { next } = await refresh(token)
    expect(await refresh(token)).toMatchObject({ outcome: 'reused', sessionId: id })
    expect(await refresh(next)).toMatchObject({ outcome: 'refused' })
    expect(await sessionsOf.states([id])).toMatchObject([{ ended: true }])
    expect(await actionsOn(id)).toEqual(['authn_token_reuse', 'authn_login_success'])
  })

  it('lets one of several simultaneous uses of a token succeed, and then ends', async () => {
    const { id, token } = await openSession((await makeUser()).id)
    const results = await Promise.all(Array.from({ length: 4 }, () => refresh(token)))
    expect(results.map(({ outcome }) => outcome).toSorted()).toEqual(['refreshed', 'refused', 'refused', 'reused'])
    expect(await sessionsOf.states([id])).toMatchObject([{ ended: true }])
  })

  it('is over after its end, after a pause, after a logout, and for an unknown token', async () => {
    const { id: userId } = await makeUser()
    const idle = await openSession(userId)
    nowMs += hourMs + 1
    expect(await refresh(idle.token)).toMatchObject({ outcome: 'refused' })
    const old = await openSession(userId)
    nowMs += 5 * hourMs
    expect(await refresh(old.token)).toMatchObject({ outcome: 'refused' })
    const left = await openSession(userId)
    await sessionsOf.end(left.id, { userId, requestId: 'r' })
    await sessionsOf.end(left.id, { userId, requestId: 'r' })
    expect(await refresh(left.token)).toMatchObject({ outcome: 'refused' })
    expect(await actionsOn(left.id)).toEqual(['authn_token_revoked', 'authn_login_success'])
    expect(await refresh(makeRefreshToken())).toMatchObject({ outcome: 'refused' })
  })

  it('is deleted some time after its end', async () => {
    const { id } = await openSession((await makeUser()).id)
    nowMs += 5 * hourMs + 1
    expect(await sessionsOf.deleteExpired()).toBeGreaterThan(0)
    expect(await sessionsOf.states([id])).toEqual([])
  })
})

describe('an account', () => {
  it.each([{ disabled: true }, { role: 'user' }, { passwordHash: 'other' }])(
    'that is changed by %j has no sessions any more',
    async (change) => {
      const { id: userId, username } = await makeUser()
      const one = await openSession(userId)
      const two = await openSession(userId)
      expect(await users.update(username, change, 'command-line')).toBe(true)
      expect(await sessionsOf.states([one.id, two.id])).toMatchObject([{ ended: true }, { ended: true }])
      expect(await refresh(one.token)).toMatchObject({ outcome: 'refused' })
      expect(await actionsOn(userId)).toEqual(['user_updated', 'user_created'])
    },
  )

  it('can be changed while its sessions are refreshed, and has none in the end', async () => {
    const { id: userId, username } = await makeUser('analyst')
    for (let round = 0; round < 10; round++) {
      const opened = await Promise.all([openSession(userId), openSession(userId), openSession(userId)])
      const [changed, ...outcomes] = await Promise.all([
        users.update(username, { disabled: round % 2 === 0 }, 'command-line'),
        ...opened.map(({ token }) => refresh(token)),
      ])
      expect(changed).toBe(true)
      for (const { outcome } of outcomes) expect(['refreshed', 'refused']).toContain(outcome)
      const states = await sessionsOf.states(opened.map(({ id }) => id))
      expect(states.map(({ ended }) => ended)).toEqual([true, true, true])
    }
  })

  it('is not made twice, and not changed when there is none', async () => {
    const { username } = await makeUser()
    const again = { id: randomUUID(), username: username.toUpperCase(), passwordHash: 'x', role: 'user' }
    await expect(users.create(again, 'x')).rejects.toMatchObject({ code: 'ROW_REFUSED' })
    expect(await users.update(uniqueName('nobody'), { disabled: true }, 'x')).toBe(false)
  })
})

describe('an API key', () => {
  async function makeKey(username: string) {
    const key = makeApiKey()
    const scopes = ['events:write'] as const
    const stored = { id: key.id, secretHash: hashSecret(key.secret), username, label: 'shop', scopes }
    await keys.create({ ...stored, expiresAtMs: nowMs + hourMs }, 'command-line')
    return key
  }

  it('is kept as a hash, with its owner, scopes and end', async () => {
    const user = await makeUser()
    const key = await makeKey(user.username)
    expect(await keys.states([key.id, 'a'.repeat(16)])).toEqual([
      {
        id: key.id,
        secretHash: hashSecret(key.secret),
        userId: user.id,
        username: user.username,
        role: 'producer',
        disabled: false,
        scopes: ['events:write'],
        expiresAtMs: nowMs + hourMs,
        revoked: false,
      },
    ])
    const row = await mysql.run('reading', (database) => database.select().from(apiKeys).where(eq(apiKeys.id, key.id)))
    expect(JSON.stringify(row)).not.toContain(key.secret)
  })

  it('is listed without its hash, and with its last use, which never moves back', async () => {
    const { username } = await makeUser()
    const key = await makeKey(username)
    await keys.noteUses(new Map([[key.id, nowMs + 5]]))
    await keys.noteUses(new Map([[key.id, nowMs]]))
    const [listed, ...more] = await keys.list(username)
    expect(more).toEqual([])
    expect(listed).toMatchObject({ id: key.id, label: 'shop', lastUsedAtMs: nowMs + 5, createdAtMs: nowMs })
    expect(listed).not.toHaveProperty('secretHash')
    expect((await keys.list()).map(({ id }) => id)).toContain(key.id)
  })

  it('is among the newest of its account, and of all', async () => {
    const { username } = await makeUser()
    for (let i = 0; i < 3; i++) await makeKey(username)
    const all = await keys.list(username)
    const newest = await keys.newest({ username, limit: 2 })
    expect(newest.map(({ id }) => id)).toEqual(
      all
        .map(({ id }) => id)
        .reverse()
        .slice(0, 2),
    )
    expect(await keys.newest({ limit: 1 })).toHaveLength(1)
  })

  it('is revoked once, and goes with its owner', async () => {
    const { username } = await makeUser()
    const key = await makeKey(username)
    await users.update(username, { disabled: true }, 'x')
    expect(await keys.states([key.id])).toMatchObject([{ disabled: true, revoked: false }])
    expect(await keys.revoke(key.id, 'command-line')).toBe(true)
    expect(await keys.revoke(key.id, 'command-line')).toBe(false)
    expect(await keys.states([key.id])).toMatchObject([{ revoked: true }])
    expect(await actionsOn(key.id)).toEqual(['api_key_revoked', 'api_key_created'])
  })

  it('is not made for nobody', async () => {
    await expect(makeKey(uniqueName('nobody'))).rejects.toMatchObject({
      code: 'ROW_REFUSED',
      refusal: 'there is no such account',
    })
  })
})

describe('login attempts', () => {
  it('are counted for everybody together, in windows', async () => {
    const name = hashSecret(uniqueName('name'))
    const other = createLoginAttemptRepository(mysql, now)
    const counts = await Promise.all([
      attempts.begin(name, hourMs),
      other.begin(name, hourMs),
      attempts.begin(name, hourMs),
    ])
    expect(counts.map((count) => count.attempts).toSorted()).toEqual([1, 2, 3])
    nowMs += hourMs - 1
    expect(await attempts.begin(name, hourMs)).toEqual({ attempts: 4, windowEndsAtMs: Date.UTC(2026, 10, 21, 10) })
    await attempts.undo(name)
    expect(await attempts.begin(name, hourMs)).toMatchObject({ attempts: 4 })
    nowMs += 1
    expect(await attempts.begin(name, hourMs)).toEqual({ attempts: 1, windowEndsAtMs: Date.UTC(2026, 10, 21, 11) })
    await attempts.succeeded(name)
    expect(await attempts.begin(name, hourMs)).toMatchObject({ attempts: 1 })
    nowMs += hourMs + 1
    expect(await attempts.deleteExpired()).toBeGreaterThan(0)
    const left = await mysql.run('reading', (database) =>
      database.select().from(loginAttempts).where(eq(loginAttempts.nameHash, name)),
    )
    expect(left).toEqual([])
  })
})

describe('the audit log', () => {
  it('is one chain, also when several write at the same time', async () => {
    const subject = uniqueName('subject')
    const entry = { action: 'authn_login_fail', actor: null, subject, requestId: 'r-1', detail: 'wrong' } as const
    await Promise.all(Array.from({ length: 12 }, () => audit.append(entry)))
    expect(await audit.verify()).toMatchObject({ brokenAt: undefined })
    const own = (await audit.newest(1_000)).filter((row) => row.subject === subject)
    expect(own).toHaveLength(12)
    for (const [index, row] of own.slice(1).entries()) expect(own[index]?.previousHash).toBe(row.hash)
  })

  it.each([
    ['changed', (seq: number) => sql`UPDATE ${auditLog} SET detail = 'another' WHERE seq = ${seq}`],
    ['given to somebody else', (seq: number) => sql`UPDATE ${auditLog} SET actor = 'another' WHERE seq = ${seq}`],
    ['taken out', (seq: number) => sql`DELETE FROM ${auditLog} WHERE seq = ${seq}`],
    ['moved in time', (seq: number) => sql`UPDATE ${auditLog} SET at = at + INTERVAL 1 SECOND WHERE seq = ${seq}`],
  ])('shows where an entry was %s', async (_, tamper) => {
    for (let i = 0; i < 3; i++) await audit.append({ action: 'authn_login_fail', actor: null, subject: null })
    const newest = await audit.newest(2)
    const seq = newest[1]?.seq ?? 0
    const original = newest[1]
    await mysql.run('tampering', (database) => database.execute(tamper(seq)))
    expect(await audit.verify()).toMatchObject({ brokenAt: seq })
    await mysql.run('mending', async (database) => {
      await database.delete(auditLog).where(eq(auditLog.seq, seq))
      if (original !== undefined) await database.insert(auditLog).values(original)
    })
    expect(await audit.verify()).toMatchObject({ brokenAt: undefined })
  })

  it('shows that its end was cut off', async () => {
    await audit.append({ action: 'authn_login_fail', actor: null, subject: null })
    const [last] = await audit.newest(1)
    if (last === undefined) throw new Error('the log is empty')
    await mysql.run('tampering', (database) => database.delete(auditLog).where(eq(auditLog.seq, last.seq)))
    expect(await audit.verify()).toMatchObject({ brokenAt: last.seq })
    await mysql.run('mending', (database) => database.insert(auditLog).values(last))
    const [head] = await mysql.run('reading', (database) => database.select().from(auditHead))
    expect(await audit.verify()).toEqual({ entries: last.seq, head: head?.hash, brokenAt: undefined })
  })
})
