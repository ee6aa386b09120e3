import { createHash, hash, randomUUID } from 'node:crypto'
import {
  createLeadIntake,
  createLeadPrivacyRepository,
  createLeadRepository,
  type Mysql,
  migrateMysql,
  mysqlMigrations,
  openMysql,
} from '@millrace/storage/mysql'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { indexLeadAttributes } from '../src/mysql/index-lead-attributes.ts'
import { leadKeyOfTests, leadOf, mysqlOfTests, mysqlOptionsOfTests, sealerOfTests } from './servers.ts'

const database = `millrace_sealed_${randomUUID().slice(0, 8)}`
const server = mysqlOfTests()
const leadKey = leadKeyOfTests()
const before = mysqlMigrations().slice(0, 4)
const upToSealing = mysqlMigrations().slice(0, 5)
let mysql: Mysql

const ask = async (statement: ReturnType<typeof sql>): Promise<Record<string, unknown>[]> => {
  const result: unknown = await mysql.run('reading', (connection) => connection.execute(statement))
  return Array.isArray(result) && Array.isArray(result[0]) ? result[0] : []
}

/** As the version before stored it. */
const old = leadOf({ phone: '+44 20 7946 0958', address: 'Long Street 1', content_hash: hash('sha256', 'content') })
const oldIdentity = createHash('sha256').update(`${old.email}\nweb`).digest('base64url').slice(0, 22)
const many = Array.from({ length: 2_300 }, () => randomUUID())
const erasedId = randomUUID()

beforeAll(async () => {
  await server.run('preparing a test', (connection) => connection.execute(sql.raw(`CREATE DATABASE ${database}`)))
  mysql = openMysql({ ...mysqlOptionsOfTests(), database, connectionsMax: 2 })
  await migrateMysql(mysql, before)
  const at = sql`'2026-11-21 09:30:00.123'`
  const rest = sql`'web', NULL, 1, '{"size":"40"}', 'stored', ${old.content_hash}, 'user-1', 'r', ${at}, ${at}, 0`
  const names = sql`lead_id, first_name, last_name, email, phone, date_of_birth, address, country, source, campaign, consent, attributes, status, content_hash, submitted_by,
    request_id, received_at, stored_at, source_partition, source_offset`
  await ask(sql`INSERT INTO leads (${names}) VALUES
    (${old.lead_id}, 'Zoë Wilhelmina', 'Çelikbilek 🌾', ${old.email}, ${old.phone}, '1990-02-28', ${old.address}, 'TR', ${rest}, 0)`)
  for (let from = 0; from < many.length; from += 500) {
    const rows = many.slice(from, from + 500)
    const values = rows.map(
      (id, place) =>
        sql`(${id}, 'A', 'B', ${`${id}@example.org`}, NULL, NULL, NULL, NULL, ${rest}, ${from + place + 1})`,
    )
    await ask(sql`INSERT INTO leads (${names}) VALUES ${sql.join(values, sql`, `)}`)
  }
  await ask(sql`INSERT INTO leads (${names}) VALUES
    (${erasedId}, '', '', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', 'erased', '', 'user-1', 'r', ${at}, ${at}, 0, 9999)`)
  await ask(sql`INSERT INTO lead_firsts VALUES (${oldIdentity}, ${old.lead_id}, ${at})`)
})
afterAll(async () => {
  await mysql.close()
  await server.run('tidying up', (connection) => connection.execute(sql.raw(`DROP DATABASE ${database}`)))
  await server.close()
})

describe('migrating leads that are in the clear', () => {
  it('wants the key, and changes nothing without', async () => {
    await expect(migrateMysql(mysql, upToSealing)).rejects.toThrow('set MILLRACE_LEAD_KEY')
    expect(await ask(sql`SELECT email FROM leads WHERE lead_id = ${old.lead_id}`)).toEqual([{ email: old.email }])
  })

  it('goes on where it was broken off', async () => {
    const broken: Mysql = {
      ...mysql,
      run: (what, work, options) =>
        mysql.run(
          what,
          (connection) => {
            let commits = 0
            const execute = connection.execute.bind(connection)
            connection.execute = (query) => {
              const isCommit = JSON.stringify(query).includes('COMMIT')
              if (isCommit && ++commits === 2) throw new Error('killed')
              return execute(query)
            }
            return work(connection)
          },
          options,
        ),
    }
    await expect(migrateMysql(broken, upToSealing, { leadKey })).rejects.toThrow('killed')
    const [counted] = await ask(sql`SELECT COUNT(sealed) AS sealed, COUNT(*) AS leads_ FROM leads`)
    expect(counted).toEqual({ sealed: 1_000, leads_: 2_302 })

    expect(await migrateMysql(mysql, upToSealing, { leadKey })).toEqual(['0005_sealed_leads'])
    expect(
      await ask(sql`SELECT COUNT(sealed) AS sealed, COUNT(DISTINCT key_tree, key_leaf) AS keys_ FROM leads`),
    ).toEqual([{ sealed: 2_301, keys_: 2_301 }])
    expect(await migrateMysql(mysql, upToSealing)).toEqual([])
  })

  it('leaves nothing in the clear that is personal', async () => {
    const rows = await ask(sql`SELECT * FROM leads JOIN lead_firsts USING (lead_id) WHERE lead_id = ${old.lead_id}`)
    expect(rows).toHaveLength(1)
    const text = JSON.stringify(rows, (_, value) =>
      typeof value === 'object' && value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value,
    )
    // Each too long to be among the row's random bytes by chance.
    for (const personal of [
      'Wilhelmina',
      'elikbilek',
      old.email,
      '7946 0958',
      'Long Street',
      '1990-02-28',
      old.content_hash,
      oldIdentity,
    ]) {
      expect(text).not.toContain(personal)
    }
  })

  it('keeps every lead as it was', async () => {
    const leads = createLeadRepository(mysql, leadKey)
    expect(await leads.byId(old.lead_id)).toMatchObject({
      firstName: 'Zoë Wilhelmina',
      lastName: 'Çelikbilek 🌾',
      email: old.email,
      phone: old.phone,
      dateOfBirth: '1990-02-28',
      address: old.address,
      city: null,
      country: 'TR',
      attributes: '{"size":"40"}',
      status: 'stored',
    })
    expect((await leads.byId(many[2_299] ?? ''))?.email).toBe(`${many[2_299]}@example.org`)
    expect(await leads.byId(erasedId)).toMatchObject({ status: 'erased', email: '', attributes: '{}' })
    expect((await leads.list({ limit: 5, email: old.email.toUpperCase() })).leads).toHaveLength(1)
    expect((await leads.list({ limit: 5, phone: '44 (20) 79460958' })).leads).toHaveLength(1)
  })

  it('has the rows of their attributes made by a later one, once, however often it is broken off', async () => {
    await migrateMysql(mysql)
    const attributes = () =>
      ask(sql`SELECT name, source, COUNT(*) AS leads_ FROM lead_attributes GROUP BY name, source`)
    expect(await attributes()).toEqual([{ name: 'size', source: 'web', leads_: 2_301 }])
    await mysql.run('repeating a step', indexLeadAttributes)
    expect(await attributes()).toEqual([{ name: 'size', source: 'web', leads_: 2_301 }])
    const found = await createLeadRepository(mysql, leadKey).list({
      limit: 5,
      attributes: [{ attribute: 'size', type: 'text', operator: 'eq', values: ['40'] }],
    })
    expect(found.total).toBe(2_301)
  })

  it('knows resends, conflicts and duplicates of them as before', async () => {
    const seal = sealerOfTests(mysql)
    const sent = [
      old,
      { ...old, content_hash: hash('sha256', 'other content') },
      leadOf({ email: old.email, received_at: Date.UTC(2026, 10, 22) }),
    ]
    const range = { group: 'g', topic: 'leads', partition: 1, firstOffset: 0, nextOffset: 3, settledOffset: 0 }
    const placed = await Promise.all(sent.map(async (lead, offset) => ({ offset, value: await seal(lead) })))
    const decisions = await createLeadIntake(mysql, leadKey).storeBatch(range, placed)
    expect(decisions.map(({ outcome, duplicateOf }) => [outcome, duplicateOf])).toEqual([
      ['duplicate', old.lead_id],
      ['conflict', null],
      ['duplicate', old.lead_id],
    ])
    const privacy = createLeadPrivacyRepository(mysql, leadKey)
    expect((await privacy.erase(old.lead_id, { actor: 'a', requestId: 'r' }))?.isNew).toBe(true)
    expect(await ask(sql`SELECT * FROM lead_firsts WHERE lead_id = ${old.lead_id}`)).toEqual([])
  })
})
