import { randomUUID } from 'node:crypto'
import type { Lead } from '@millrace/schemas'
import {
  createApiLogRepository,
  createLeadIntake,
  createLeadRepository,
  createSinkOffsetRepository,
  createUserRepository,
  migrateMysql,
  mysqlMigrations,
  type Placed,
  type SinkRange,
} from '@millrace/storage/mysql'
import type { PlainLead } from '@millrace/storage/sealing'
import { eq, inArray, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { apiRequestLogs, apiResponseLogs, leadCopies, leads } from '../src/mysql/schema.ts'
import { apiLogOf, leadKeyOfTests, leadOf, mysqlOfTests, sealerOfTests, uniqueName } from './servers.ts'

const mysql = mysqlOfTests()
const leadKey = leadKeyOfTests()
const seal = sealerOfTests(mysql)
const repository = createLeadRepository(mysql, leadKey)
const intake = createLeadIntake(mysql, leadKey)
const apiLogs = createApiLogRepository(mysql)
const offsets = createSinkOffsetRepository(mysql)

beforeAll(() => migrateMysql(mysql))
afterAll(() => mysql.close())

/** A partition of its own for each test. */
function partitionOf() {
  const group = uniqueName('group')
  const topic = uniqueName('leads')
  const range = (firstOffset: number, nextOffset: number, settledOffset = firstOffset): SinkRange => {
    return { group, topic, partition: 0, firstOffset, nextOffset, settledOffset }
  }
  return { group, topic, range }
}

function placed<T>(firstOffset: number, values: readonly T[]): Placed<T>[] {
  return values.map((value, index) => ({ offset: firstOffset + index, value }))
}

function sealed(submitted: readonly Placed<PlainLead>[]): Promise<Placed<Lead>[]> {
  return Promise.all(submitted.map(async ({ offset, value }) => ({ offset, value: await seal(value) })))
}

async function outcomes(range: SinkRange, submitted: readonly Placed<PlainLead>[]) {
  const decisions = await intake.storeBatch(range, await sealed(submitted))
  return decisions.map(({ outcome, reason }) => (reason === null ? outcome : `${outcome}: ${reason}`))
}

describe('migrateMysql', () => {
  it('has nothing to do the second time, also when several processes try together', async () => {
    expect(await Promise.all([migrateMysql(mysql), migrateMysql(mysql)])).toEqual([[], []])
  })

  it('refuses a migration that was changed after it had been applied', async () => {
    const changed = mysqlMigrations().map((migration) => ({ ...migration, checksum: 'f'.repeat(64) }))
    await expect(migrateMysql(mysql, changed)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' })
  })
})

describe('LeadIntake', () => {
  it('stores every field exactly, with the offset', async () => {
    const { group, topic, range } = partitionOf()
    const lead = leadOf()
    expect(await outcomes(range(40, 41), placed(40, [lead]))).toEqual(['stored'])
    expect(await repository.byId(lead.lead_id)).toMatchObject({
      leadId: lead.lead_id,
      firstName: 'Zoë',
      lastName: 'Çelik 🌾',
      email: lead.email,
      phone: null,
      dateOfBirth: '1990-02-28',
      country: 'TR',
      consent: true,
      attributes: '{"size":"40"}',
      status: 'stored',
      receivedAt: new Date(lead.received_at),
      sourcePartition: 0,
      sourceOffset: 40,
    })
    expect((await offsets.read(group, topic)).get(0)).toMatchObject({ nextOffset: 41, settledOffset: 40 })
  })

  it('tells a resend from a conflict, within a batch and across batches', async () => {
    const { range } = partitionOf()
    const lead = leadOf()
    const other = { ...lead, first_name: 'Other', content_hash: 'b'.repeat(64) }
    expect(await outcomes(range(0, 3), placed(0, [lead, lead, other]))).toEqual([
      'stored',
      'duplicate',
      'conflict: the lead_id belongs to a lead with other content',
    ])
    expect(await outcomes(range(3, 4), placed(3, [lead]))).toEqual(['duplicate'])
    expect((await repository.byId(lead.lead_id))?.firstName).toBe('Zoë')
  })

  it('finds the rows that MySQL refuses, stores the rest, and says why without quoting them', async () => {
    const { range } = partitionOf()
    const batch = Array.from({ length: 1_200 }, () => leadOf())
    batch[3] = leadOf({ source: 'x'.repeat(256) })
    batch[700] = leadOf({ campaign: 'x'.repeat(256) })
    batch[701] = leadOf({ attributes: '{not json' })
    batch[1_199] = leadOf({ lead_id: 'not a uuid' })
    batch[10] = leadOf({ received_at: 1e16 })
    const result = await outcomes(range(0, 1_200), placed(0, batch))
    const refused = result.flatMap((text, index) => (text === 'stored' ? [] : [`${index} ${text}`]))
    expect(refused).toEqual([
      '3 rejected: source: value too long',
      '10 rejected: received_at: value out of range',
      '700 rejected: campaign: value too long',
      expect.stringMatching(/^701 rejected: .*value breaks a rule of the table$/),
      '1199 rejected: lead_id: value is not a UUID',
    ])
    const rows = await mysql.run('counting', (database) =>
      database
        .select({ id: leads.leadId })
        .from(leads)
        .where(
          inArray(
            leads.leadId,
            batch.map((lead) => lead.lead_id),
          ),
        ),
    )
    expect(rows).toHaveLength(1_195)
  })

  it('gives the same outcomes when a batch is repeated, and stores only what is new of one that overlaps', async () => {
    const { group, topic, range } = partitionOf()
    const lead = leadOf()
    const batch = [
      lead,
      leadOf({ source: 'x'.repeat(300) }),
      lead,
      leadOf({ lead_id: lead.lead_id, content_hash: 'c'.repeat(64) }),
    ]
    const first = await outcomes(range(10, 14), placed(10, batch))
    expect(first.map((text) => text.split(':')[0])).toEqual(['stored', 'rejected', 'duplicate', 'conflict'])
    expect(await outcomes(range(10, 14), placed(10, batch))).toEqual(first)
    const longer = [...batch, leadOf()]
    expect(await outcomes(range(10, 15), placed(10, longer))).toEqual([...first, 'stored'])
    expect((await offsets.read(group, topic)).get(0)).toMatchObject({ nextOffset: 15, settledOffset: 10 })
  })

  it('refuses to leave a gap', async () => {
    const { range } = partitionOf()
    await outcomes(range(0, 1), placed(0, [leadOf()]))
    await expect(outcomes(range(2, 3), placed(2, [leadOf()]))).rejects.toMatchObject({ code: 'OFFSET_GAP' })
  })

  it('settles forwards only, and never past what is stored', async () => {
    const { group, topic, range } = partitionOf()
    await outcomes(range(0, 5), placed(0, [leadOf()]))
    await offsets.settle({ group, topic, partition: 0, settledOffset: 5 })
    await offsets.settle({ group, topic, partition: 0, settledOffset: 2 })
    await offsets.settle({ group, topic, partition: 0, settledOffset: 9 })
    expect((await offsets.read(group, topic)).get(0)).toMatchObject({ nextOffset: 5, settledOffset: 5 })
  })

  it('stores nothing and moves no offset when the transaction fails', async () => {
    const { group, topic, range } = partitionOf()
    const lead = leadOf()
    const gone = mysqlOfTests({ callTimeoutMs: 50 })
    try {
      // Another transaction holds the partition's row for longer than the call may take.
      await outcomes(range(0, 1), placed(0, [leadOf()]))
      await mysql.transaction('holding a lock', async (database) => {
        await database.execute(sql`SELECT * FROM sink_offsets WHERE topic = ${topic} FOR UPDATE`)
        const attempt = createLeadIntake(gone, leadKey).storeBatch(range(1, 2), await sealed(placed(1, [lead])))
        await expect(attempt).rejects.toMatchObject({ code: 'TIMED_OUT', retryable: true })
      })
    } finally {
      await gone.close()
    }
    expect(await repository.byId(lead.lead_id)).toBeUndefined()
    expect((await offsets.read(group, topic)).get(0)?.nextOffset).toBe(1)
  })
})

describe('LeadRepository.list', () => {
  it('pages by cursor and by number, in both orders, with filters and total', async () => {
    const { range } = partitionOf()
    const email = `${uniqueName('pages')}@example.org`
    const batch = Array.from({ length: 25 }, (_, index) =>
      // Several share a time, so that the id has to break ties.
      leadOf({ email, received_at: Date.UTC(2026, 0, 1) + Math.floor(index / 4) * 1_000 }),
    )
    await outcomes(range(0, 25), placed(0, batch))
    const sorted = [...batch].sort((a, b) => a.received_at - b.received_at || (a.lead_id < b.lead_id ? -1 : 1))
    const ascending = sorted.map((lead) => lead.lead_id)

    for (const sort of ['received_at', '-received_at'] as const) {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await repository.list({ limit: 7, email: email.toUpperCase(), sort, cursor })
        expect(page).toMatchObject({ total: 25, totalIsExact: true })
        seen.push(...page.leads.map((lead) => lead.leadId))
        cursor = page.nextCursor ?? undefined
      } while (cursor !== undefined)
      expect(seen).toEqual(sort === 'received_at' ? ascending : ascending.toReversed())
    }
    const third = await repository.list({ limit: 10, page: 3, email, sort: 'received_at' })
    expect(third.leads.map((lead) => lead.leadId)).toEqual(ascending.slice(20))
    expect(third.nextCursor).toBeNull()
    const window = { fromMs: Date.UTC(2026, 0, 1) + 1_000, toMs: Date.UTC(2026, 0, 1) + 2_000 }
    expect((await repository.list({ limit: 10, email, ...window })).total).toBe(4)
    expect((await repository.list({ limit: 10, email, status: 'other' })).total).toBe(0)
  })

  it('refuses what is out of bounds, and cursors of other listings', async () => {
    const code = 'INVALID_QUERY'
    const list = async (query: Parameters<typeof repository.list>[0]) => repository.list(query)
    await expect(list({ limit: 0 })).rejects.toMatchObject({ code })
    await expect(list({ limit: 100, page: 1_002 })).rejects.toMatchObject({ code })
    await expect(list({ limit: 1, cursor: 'x' })).rejects.toMatchObject({ code })
    const { nextCursor } = await repository.list({ limit: 1 })
    await expect(list({ limit: 1, cursor: nextCursor ?? '', sort: 'received_at' })).rejects.toMatchObject({ code })
  })
})

describe('ApiLogRepository', () => {
  it('stores request and response, once, and leaves a refused record out of both', async () => {
    const { range } = partitionOf()
    const good = apiLogOf()
    const bad = apiLogOf({ error_code: 'x'.repeat(65) })
    const batch = placed(0, [good, bad, good, apiLogOf({ duration_ms: Number.NaN })])
    const rejections = [
      { offset: 3, reason: 'duration_ms: value is not a number' },
      { offset: 1, reason: 'error_code: value too long' },
    ]
    expect(await apiLogs.storeBatch(range(0, 4), batch)).toEqual(rejections)
    const repeated = await apiLogs.storeBatch(range(0, 4), batch)
    expect(repeated.toSorted((a, b) => b.offset - a.offset)).toEqual(rejections)

    const [request] = await mysql.run('reading', (database) =>
      database.select().from(apiRequestLogs).where(eq(apiRequestLogs.requestId, good.request_id)),
    )
    expect(request).toMatchObject({ method: 'POST', requestBytes: 312, receivedAt: new Date(good.received_at) })
    const [response] = await mysql.run('reading', (database) =>
      database.select().from(apiResponseLogs).where(eq(apiResponseLogs.requestId, good.request_id)),
    )
    expect(response).toMatchObject({ status: 201, durationMs: 40.25, accepted: 1, rejected: null })
    const left = await mysql.run('reading', (database) =>
      database.select().from(apiRequestLogs).where(eq(apiRequestLogs.requestId, bad.request_id)),
    )
    expect(left).toEqual([])
  })
})

describe('UserRepository', () => {
  it('makes an account once and updates it by its name', async () => {
    const users = createUserRepository(mysql)
    const username = uniqueName('ann')
    const id = randomUUID()
    await users.upsert({ id, username, passwordHash: 'hash-1', role: 'user' })
    await users.upsert({ id: randomUUID(), username, passwordHash: 'hash-2', role: 'admin', disabled: true })
    const user = await users.findByUsername(username.toUpperCase())
    expect(user).toMatchObject({ id, username, passwordHash: 'hash-2', role: 'admin', disabled: true })
    expect(await users.byId(id)).toEqual(user)
    expect(await users.findByUsername(uniqueName('nobody'))).toBeUndefined()
    expect((await users.list()).map((one) => one.id)).toContain(id)
  })
})

describe('openMysql', () => {
  it('tells new rows from those that are there, a single one, too', async () => {
    const rows = [1, 2, 3].map(() => ({ leadId: randomUUID(), keyTree: '0123456789abcdef', keyLeaf: 1 }))
    const areNew = (from: number, to: number) =>
      mysql.transaction('inserting', (_, insertNew) => insertNew(leadCopies, rows.slice(from, to)))
    expect(await areNew(0, 1)).toBe(true)
    expect(await areNew(0, 1)).toBe(false)
    expect(await areNew(1, 3)).toBe(true)
    expect(await areNew(0, 3)).toBe(false)
    expect(await mysql.transaction('inserting', (_, insertNew) => insertNew(leadCopies, []))).toBe(true)
  })

  it('says ACCESS_DENIED, UNAVAILABLE and SCHEMA_MISMATCH for what they are', async () => {
    const missing = mysql.run('reading nothing', (database) => database.execute(sql`SELECT * FROM no_such_table`))
    await expect(missing).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH', retryable: false })
  })
})
