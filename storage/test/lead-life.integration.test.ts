import { randomUUID } from 'node:crypto'
import type { Lead } from '@millrace/schemas'
import {
  createLeadIntake,
  createLeadPrivacyRepository,
  createLeadRepository,
  createLeadTreeStore,
  findKeys,
  migrateMysql,
} from '@millrace/storage/mysql'
import {
  emailHash,
  hashText,
  LeadKey,
  LeafSource,
  leadIdentity,
  openContents,
  type PlainLead,
} from '@millrace/storage/sealing'
import { eq, inArray } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readHistory } from '../src/mysql/lead-history.ts'
import { auditLog, leadAttributes, leadCopies, leadFirsts, leadHistory } from '../src/mysql/schema.ts'
import { leadKeyOfTests, leadOf, mysqlOfTests, sealerOfTests, uniqueName } from './servers.ts'

const windowMs = 30 * 86_400_000
const mysql = mysqlOfTests({ connectionsMax: 8 })
const leadKey = leadKeyOfTests()
const seal = sealerOfTests(mysql)
const repository = createLeadRepository(mysql, leadKey)
const intake = createLeadIntake(mysql, leadKey, { duplicateWindowMs: windowMs })
const privacy = createLeadPrivacyRepository(mysql, leadKey)

beforeAll(() => migrateMysql(mysql))
afterAll(() => mysql.close())

/** A partition of a topic of its own, which takes batch after batch. */
function partitionOf({ topic = uniqueName('leads'), partition = 0, into = intake } = {}) {
  let next = 0
  const at = async (firstOffset: number, batch: readonly PlainLead[]) => {
    const range = { group: 'test', topic, partition, firstOffset, nextOffset: firstOffset + batch.length }
    const placed = await Promise.all(
      batch.map(async (lead, index) => ({ offset: firstOffset + index, value: await seal(lead) })),
    )
    return into.storeBatch({ ...range, settledOffset: firstOffset }, placed)
  }
  return {
    at,
    async store(batch: readonly PlainLead[]) {
      const first = next
      next += batch.length
      const decisions = await at(first, batch)
      return decisions.map(({ outcome, duplicateOf }) =>
        duplicateOf === null ? outcome : `${outcome} of ${duplicateOf}`,
      )
    },
  }
}

const receivedAt = Date.UTC(2026, 10, 1)
/** The column takes less. */
const tooLong = 'x'.repeat(256)

function identityOf({ email, source }: PlainLead): string {
  return leadIdentity({ emailHash: hashText(emailHash(leadKey, email)), source })
}

async function historyOf(lead: PlainLead): Promise<readonly string[]> {
  const found = await mysql.run('reading', (database) => readHistory(database, [lead.lead_id]))
  return (found.get(lead.lead_id) ?? []).map(({ status, reason }) =>
    reason === null ? status : `${status}: ${reason}`,
  )
}

describe('duplicates', () => {
  it('are leads of one person and source within the window, in one batch and in later ones', async () => {
    const { store } = partitionOf()
    const first = leadOf({ received_at: receivedAt })
    const again = (changes: Partial<PlainLead> = {}) =>
      leadOf({
        email: first.email.toUpperCase(),
        content_hash: 'b'.repeat(64),
        received_at: receivedAt + 1,
        ...changes,
      })
    const twin = again()
    const elsewhere = again({ source: 'fair' })
    const of = `duplicate of ${first.lead_id}`
    expect(await store([first, twin, elsewhere, leadOf()])).toEqual(['stored', of, 'stored', 'stored'])

    const late = again({ received_at: receivedAt + windowMs - 1 })
    expect(await store([late, again({ source: null })])).toEqual([of, 'stored'])

    expect(await repository.byId(first.lead_id)).toMatchObject({ status: 'stored', duplicateOf: null })
    const flagged = { status: 'duplicate', duplicateOf: first.lead_id, firstName: 'Zoë' }
    expect(await repository.byId(twin.lead_id)).toMatchObject(flagged)
    expect(await repository.byId(late.lead_id)).toMatchObject(flagged)
    const listed = await repository.list({ limit: 10, email: first.email, status: 'duplicate' })
    expect(listed.leads.map(({ leadId }) => leadId).sort()).toEqual([twin.lead_id, late.lead_id].sort())
  })

  it('end with the window: the lead after it is the first of the next one', async () => {
    const { store } = partitionOf()
    const first = leadOf({ received_at: receivedAt })
    const second = leadOf({ email: first.email, received_at: receivedAt + windowMs })
    const third = leadOf({ email: first.email, received_at: receivedAt + windowMs + 1 })
    expect(await store([first, second, third])).toEqual(['stored', 'stored', `duplicate of ${second.lead_id}`])
    const fourth = leadOf({ email: first.email, received_at: receivedAt + 2 * windowMs - 1 })
    expect(await store([fourth])).toEqual([`duplicate of ${second.lead_id}`])
  })

  it('are flagged also when the later one was stored first', async () => {
    const { store } = partitionOf()
    const later = leadOf({ received_at: receivedAt })
    expect(await store([later])).toEqual(['stored'])
    expect(await store([leadOf({ email: later.email, received_at: receivedAt - 5_000 })])).toEqual([
      `duplicate of ${later.lead_id}`,
    ])
  })

  it('are not made of leads that were refused or sent again', async () => {
    const { store } = partitionOf()
    const refused = leadOf({ campaign: tooLong })
    const sound = leadOf({ email: refused.email })
    const resent = { ...sound, request_id: 'again' }
    const other = { ...sound, content_hash: 'c'.repeat(64) }
    expect(await store([refused, sound, resent, other])).toEqual([
      'rejected',
      'stored',
      `duplicate of ${sound.lead_id}`,
      'conflict',
    ])
    expect(await repository.byId(sound.lead_id)).toMatchObject({ status: 'stored' })
    const twin = leadOf({ email: sound.email })
    expect(await store([twin, { ...twin, request_id: 'again' }])).toEqual(
      new Array(2).fill(`duplicate of ${sound.lead_id}`),
    )
  })

  it('are the same when a batch is repeated', async () => {
    const { at } = partitionOf()
    const first = leadOf()
    const batch = [first, leadOf({ email: first.email }), leadOf(), first]
    const decisions = await at(0, batch)
    expect(decisions.map(({ outcome }) => outcome)).toEqual(['stored', 'duplicate', 'stored', 'duplicate'])
    expect(await at(0, batch)).toEqual(decisions)
    const longer = [...batch, leadOf({ email: first.email })]
    const overlapping = await at(0, longer)
    expect(overlapping.slice(0, 4)).toEqual(decisions)
    expect(overlapping[4]).toMatchObject({ outcome: 'duplicate', duplicateOf: first.lead_id })
  })

  it('are not looked for with a window of 0', async () => {
    const { store } = partitionOf({ into: createLeadIntake(mysql, leadKey, { duplicateWindowMs: 0 }) })
    const lead = leadOf()
    expect(await store([lead, leadOf({ email: lead.email })])).toEqual(['stored', 'stored'])
  })

  it('are all but one, whichever partitions store them at the same time', async () => {
    const topic = uniqueName('leads')
    const people = Array.from({ length: 40 }, () => `${randomUUID()}@example.org`)
    const partitions = [0, 1, 2, 3].map((partition) => partitionOf({ topic, partition }))
    const outcomes = new Map<string, string[]>()
    await Promise.all(
      partitions.map(async ({ store }, index) => {
        for (let round = 0; round < 3; round++) {
          // Each partition begins with another person, so that transactions overlap in every order.
          const emails = people.map((_, place) => people[(place + index * 10) % people.length] ?? '')
          const batch = emails.map((email) => leadOf({ email, received_at: receivedAt + round }))
          const found = await store(batch)
          for (const [place, email] of emails.entries()) {
            outcomes.set(email, [...(outcomes.get(email) ?? []), found[place] ?? ''])
          }
        }
      }),
    )
    for (const found of outcomes.values()) {
      expect(found).toHaveLength(12)
      expect(found.filter((outcome) => outcome === 'stored')).toHaveLength(1)
      expect(new Set(found).size).toBe(2)
    }
  })

  it('of a batch that is all duplicates are all flagged', async () => {
    const { store } = partitionOf()
    const first = leadOf()
    await store([first])
    const batch = Array.from({ length: 350 }, () => leadOf({ email: first.email }))
    expect(new Set(await store(batch))).toEqual(new Set([`duplicate of ${first.lead_id}`]))
    const listed = await repository.list({ limit: 1, email: first.email, status: 'duplicate' })
    expect(listed.total).toBe(350)
  })
})

describe('the history of a lead', () => {
  it('says what became of it, once, however often the batch comes', async () => {
    const { at } = partitionOf()
    const stored = leadOf()
    const twin = leadOf({ email: stored.email })
    const refused = leadOf({ campaign: tooLong })
    const batch = [stored, twin, refused, { ...stored, request_id: 'again' }, leadOf({ lead_id: 'none' })]
    await at(0, batch)
    await at(0, batch)
    expect(await historyOf(stored)).toEqual(['received', 'stored'])
    expect(await historyOf(twin)).toEqual(['received', 'stored', `duplicate: duplicate of ${stored.lead_id}`])
    expect(await historyOf(refused)).toEqual(['received', 'rejected: campaign: value too long'])
    const life = await mysql.run('reading', (database) => readHistory(database, [stored.lead_id]))
    expect(life.get(stored.lead_id)?.[0]?.at).toEqual(new Date(stored.received_at))
  })

  it('has a step once that an earlier version has noted beside the row', async () => {
    const lead = leadOf()
    await partitionOf().store([lead])
    const row = await repository.byId(lead.lead_id)
    await mysql.transaction('noting', (_, insertNew) =>
      insertNew(leadHistory, [
        { leadId: lead.lead_id, at: new Date(lead.received_at), status: 'received', reason: null },
        { leadId: lead.lead_id, at: row?.storedAt ?? new Date(0), status: 'stored', reason: null },
      ]),
    )
    expect(await historyOf(lead)).toEqual(['received', 'stored'])
  })

  it('is not written anew when the topic is read from its start by another group', async () => {
    const lead = leadOf()
    await partitionOf().store([lead])
    expect(await partitionOf().store([lead])).toEqual(['stored'])
    expect(await historyOf(lead)).toEqual(['received', 'stored'])
  })

  it('goes on when a lead that was refused comes again and is sound', async () => {
    const { store } = partitionOf()
    const refused = leadOf({ campaign: tooLong })
    await store([refused])
    await store([{ ...refused, campaign: null, received_at: refused.received_at + 1_000 }])
    const statuses = (await historyOf(refused)).map((step) => step.split(':')[0])
    expect(statuses.toSorted()).toEqual(['received', 'received', 'rejected', 'stored'])
  })

  it('is written with the lead or not at all', async () => {
    const lead = leadOf()
    const failing = createLeadIntake(
      {
        ...mysql,
        transaction: (what, work, options) =>
          mysql.transaction(
            what,
            async (database, insertNew) => {
              await work(database, insertNew)
              throw new Error('killed before the commit')
            },
            options,
          ),
      },
      leadKey,
    )
    await expect(partitionOf({ into: failing }).store([lead])).rejects.toThrow('killed')
    expect(await repository.byId(lead.lead_id)).toBeUndefined()
    expect(await historyOf(lead)).toEqual([])
    const claimed = await mysql.run('reading', (database) =>
      database
        .select()
        .from(leadFirsts)
        .where(inArray(leadFirsts.identity, [identityOf(lead)])),
    )
    expect(claimed).toEqual([])
  })
})

/** The address in a record, by what is left in the table of keys. */
async function opened({ lead_id: leadId, key_tree, key_leaf, sealed }: Lead): Promise<string | undefined> {
  const place = { tree: key_tree ?? '', leaf: key_leaf ?? 0 }
  const key = await mysql.run('reading', async (database) => (await findKeys(database, leadKey, [place])).keyOf(place))
  if (typeof key === 'string') return key
  return openContents({ leadId, ...place, sealed: sealed ?? Buffer.alloc(0) }, key)?.email
}

describe('a tree of keys', () => {
  it('is not kept for who has another master key than those before', async () => {
    await seal(leadOf())
    const other = new LeadKey(Buffer.alloc(32, 7))
    const leaves = new LeafSource(createLeadTreeStore(mysql, other), other)
    await expect(leaves.hold(1)).rejects.toMatchObject({ code: 'ACCESS_DENIED', retryable: false })
    expect(leaves.take()).toBeUndefined()
  })
})

describe('records that cannot be opened', () => {
  it('are refused, and say why: changed, of another lead, or of a tree that is not there', async () => {
    const record = await seal(leadOf())
    const other = await seal(leadOf())
    const sealed = Buffer.from(record.sealed ?? [])
    sealed[9] = (sealed[9] ?? 0) ^ 1
    const batch: Lead[] = [
      { ...record, sealed },
      { ...other, lead_id: randomUUID() },
      { ...other, key_tree: 'ffffffffffffffff' },
      { ...other, key_tree: null },
      { ...other, sealed: null },
      other,
    ]
    const range = { group: 'test', topic: uniqueName('leads'), partition: 0, firstOffset: 0, nextOffset: 6 }
    const placed = batch.map((value, offset) => ({ offset, value }))
    const decisions = await intake.storeBatch({ ...range, settledOffset: 0 }, placed)
    expect(decisions.map(({ outcome, reason }) => `${outcome} ${reason}`)).toEqual([
      'rejected sealed: value cannot be opened',
      'rejected sealed: value cannot be opened',
      'rejected key_tree: no such tree of keys',
      'rejected sealed: value missing',
      'rejected sealed: value missing',
      'stored null',
    ])
    const again = await intake.storeBatch({ ...range, settledOffset: 0 }, placed)
    expect(again.map(({ outcome }) => outcome)).toEqual(decisions.map(({ outcome }) => outcome))
  })
})

describe('erasing a lead', () => {
  const by = { actor: 'admin-1', requestId: 'r-1' }

  it('leaves nothing of the person in MySQL, and says who did it', async () => {
    const { store } = partitionOf()
    const word = uniqueName('Person')
    const lead = leadOf({
      first_name: word,
      last_name: word,
      email: `${word}@example.org`,
      phone: '+44 20 7946 0958',
      address: word,
      city: word,
      postal_code: word,
      source: word,
      campaign: word,
      attributes: JSON.stringify({ note: word }),
    })
    const twin = leadOf({ email: lead.email, source: word })
    await store([lead, twin])
    const erasure = await privacy.erase(lead.lead_id, by)
    expect(erasure?.isNew).toBe(true)
    const row = await repository.byId(lead.lead_id)
    expect(row).toMatchObject({
      status: 'erased',
      email: '',
      attributes: '{}',
      submittedBy: 'user-1',
      duplicateOf: null,
    })
    expect(JSON.stringify(row)).not.toContain(word)
    expect(JSON.stringify(row)).not.toContain(lead.content_hash)
    expect(await historyOf(lead)).toEqual(['received', 'stored', 'erased'])
    expect((await repository.list({ limit: 10, email: lead.email })).leads.map(({ leadId }) => leadId)).toEqual([
      twin.lead_id,
    ])
    const claimed = await mysql.run('reading', (database) =>
      database.select().from(leadFirsts).where(eq(leadFirsts.leadId, lead.lead_id)),
    )
    expect(claimed).toEqual([])
    const audited = await mysql.run('reading', (database) =>
      database.select().from(auditLog).where(eq(auditLog.subject, lead.lead_id)),
    )
    expect(audited).toMatchObject([{ action: 'lead_erased', actor: 'admin-1', requestId: 'r-1', detail: '' }])
    expect(audited[0]?.at).toEqual(erasure?.erasedAt)

    expect(await privacy.erase(lead.lead_id, { actor: 'admin-2', requestId: 'r-2' })).toEqual({
      erasedAt: erasure?.erasedAt,
      isNew: false,
    })
    expect(await historyOf(lead)).toEqual(['received', 'stored', 'erased'])
  })

  it('takes the rows away that its attributes are found by, and no other', async () => {
    const crowded = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`field_${index}`, index]))
    const attributes = [{ size: 40, plan: 'x'.repeat(100), ok: true, tags: [] }, crowded, {}].map((one) =>
      JSON.stringify(one),
    )
    const leads = attributes.map((text) => leadOf({ attributes: text }))
    const neighbours = attributes.map((text) => leadOf({ attributes: text }))
    await partitionOf().store([...leads, ...neighbours])
    const rowsOf = async (some: readonly PlainLead[]) => {
      const ids = some.map(({ lead_id }) => lead_id)
      const rows = await mysql.run('reading', (database) =>
        database.select().from(leadAttributes).where(inArray(leadAttributes.leadId, ids)),
      )
      return rows.length
    }
    expect([await rowsOf(leads), await rowsOf(neighbours)]).toEqual([4, 4])
    for (const { lead_id } of leads) await privacy.erase(lead_id, by)
    expect([await rowsOf(leads), await rowsOf(neighbours)]).toEqual([0, 4])
    // A copy that is delivered again brings none back.
    await partitionOf().store(leads)
    expect(await rowsOf(leads)).toBe(0)
  })

  it('wins over a copy whose key was read before, and that is stored after', async () => {
    const lead = leadOf({ attributes: JSON.stringify({ size: 40 }) })
    await partitionOf().store([lead])
    const overtaken = createLeadIntake(
      {
        ...mysql,
        async run(what, work, options) {
          const done = await mysql.run(what, work, options)
          if (what === 'reading keys of leads') await privacy.erase(lead.lead_id, by)
          return done
        },
      },
      leadKey,
    )
    expect(await partitionOf({ into: overtaken }).store([{ ...lead, request_id: 'again' }, leadOf()])).toEqual([
      'erased',
      'stored',
    ])
    expect(await repository.byId(lead.lead_id)).toMatchObject({ status: 'erased', email: '', attributes: '{}' })
    const rows = await mysql.run('reading', (database) =>
      database.select().from(leadAttributes).where(eq(leadAttributes.leadId, lead.lead_id)),
    )
    expect(rows).toEqual([])
    const copies = await mysql.run('reading', (database) =>
      database.select().from(leadCopies).where(eq(leadCopies.leadId, lead.lead_id)),
    )
    expect(copies).toEqual([])
  })

  it('holds against every copy that is delivered again', async () => {
    const { at } = partitionOf()
    const lead = leadOf()
    await at(0, [lead])
    await privacy.erase(lead.lead_id, by)
    const erased = { outcome: 'erased', reason: 'the lead was erased', duplicateOf: null }
    expect(await at(0, [lead])).toMatchObject([erased])
    expect(await at(1, [{ ...lead, request_id: 'again' }, leadOf()])).toMatchObject([erased, { outcome: 'stored' }])
    // Another database group, or the topic read from its beginning.
    expect(await partitionOf().store([lead])).toEqual(['erased'])
    expect(await repository.byId(lead.lead_id)).toMatchObject({ status: 'erased', firstName: '', email: '' })
    expect(await historyOf(lead)).toEqual(['received', 'stored', 'erased'])
    // Who comes again later is a new lead, and no duplicate of somebody who is gone.
    expect(await partitionOf().store([leadOf({ email: lead.email })])).toEqual(['stored'])
  })

  it('and storing copies of it at the same time end with it erased', async () => {
    const { at } = partitionOf()
    const lead = leadOf()
    await at(0, [lead])
    await Promise.all([
      privacy.erase(lead.lead_id, by),
      ...[1, 2, 3].map((partition) =>
        partitionOf({ partition }).store([{ ...lead, request_id: `copy-${partition}` }, leadOf({ email: lead.email })]),
      ),
    ])
    expect(await repository.byId(lead.lead_id)).toMatchObject({ status: 'erased', email: '' })
  })

  it('destroys its key and no other: what is left opens every lead but this one', async () => {
    const { store } = partitionOf()
    const batch = Array.from({ length: 40 }, () => leadOf())
    await store(batch)
    const records = await Promise.all(batch.map(seal))
    const gone = [batch[7], batch[8], batch[31]].flatMap((lead) => lead ?? [])
    for (const { lead_id } of gone) await privacy.erase(lead_id, by)
    for (const [index, record] of records.entries()) {
      const lead = batch[index]
      const isGone = lead !== undefined && gone.includes(lead)
      expect(await opened(record)).toEqual(isGone ? 'destroyed' : lead?.email)
      expect((await repository.byId(record.lead_id))?.email).toBe(isGone ? '' : lead?.email)
    }
  })

  it('destroys the keys of everything that was sent of it, before and after', async () => {
    const { store } = partitionOf()
    const lead = leadOf()
    const resent = { ...lead, request_id: 'again' }
    const conflicting = { ...lead, first_name: 'Other', content_hash: 'b'.repeat(64) }
    expect(await store([lead, resent, conflicting])).toEqual(['stored', `duplicate of ${lead.lead_id}`, 'conflict'])
    const late = { ...lead, request_id: 'late' }
    const sent = await Promise.all([lead, resent, conflicting, late].map(seal))
    expect(new Set(sent.map(({ key_leaf }) => key_leaf)).size).toBe(4)
    await privacy.erase(lead.lead_id, by)
    expect(await Promise.all(sent.slice(0, 3).map(opened))).toEqual(['destroyed', 'destroyed', 'destroyed'])
    expect(await store([late])).toEqual(['erased'])
    expect(await Promise.all(sent.map(opened))).toEqual(new Array(4).fill('destroyed'))
    const kept = await mysql.run('reading', (database) =>
      database.select().from(leadCopies).where(eq(leadCopies.leadId, lead.lead_id)),
    )
    expect(kept).toEqual([])
  })

  it('destroys the key of one that was refused, which is in no row, and in the dead letters', async () => {
    const { store } = partitionOf()
    const refused = leadOf({ campaign: tooLong })
    expect(await store([refused])).toEqual(['rejected'])
    expect(await opened(await seal(refused))).toBe(refused.email)
    expect((await privacy.erase(refused.lead_id, by))?.isNew).toBe(true)
    expect(await opened(await seal(refused))).toBe('destroyed')
    expect((await privacy.erase(refused.lead_id, by))?.isNew).toBe(false)
    expect(await historyOf(refused)).toEqual(['received', 'rejected: campaign: value too long', 'erased'])
    // Put back from the dead letters; and sent anew by somebody, which is another record.
    expect(await partitionOf().at(0, [refused])).toMatchObject([{ outcome: 'erased' }])
    expect(await store([{ ...refused, campaign: null }])).toEqual(['stored'])
  })

  it('of many leads at the same time keeps the keys of all others', async () => {
    const { store } = partitionOf()
    const batch = Array.from({ length: 24 }, () => leadOf())
    await store(batch)
    const erased = batch.filter((_, index) => index % 2 === 0)
    await Promise.all(erased.map(({ lead_id }) => privacy.erase(lead_id, by)))
    for (const lead of batch) {
      expect(await opened(await seal(lead))).toBe(erased.includes(lead) ? 'destroyed' : lead.email)
    }
  })

  it('knows no lead that is not there', async () => {
    expect(await privacy.erase(randomUUID(), by)).toBeUndefined()
    expect(await privacy.exportPerson(randomUUID(), by)).toBeUndefined()
  })
})

describe('exporting a person', () => {
  it('gives every lead of the address, their history and who has seen them, and nobody else’s', async () => {
    const { store } = partitionOf()
    const lead = leadOf()
    const twin = leadOf({ email: lead.email.toUpperCase(), source: 'fair' })
    const other = leadOf({ email: lead.email.replace('zoe', 'zoë') })
    await store([twin, lead, other])
    const found = await privacy.exportPerson(lead.lead_id, { actor: 'admin-1', requestId: 'r-1' })
    expect(found?.leads.map(({ leadId }) => leadId)).toEqual([lead.lead_id, twin.lead_id])
    expect(found?.isComplete).toBe(true)
    expect(found?.history.map(({ leadId, status }) => `${leadId} ${status}`).sort()).toEqual(
      [lead, twin].flatMap(({ lead_id }) => [`${lead_id} received`, `${lead_id} stored`]).sort(),
    )
    expect(found?.audit).toMatchObject([{ action: 'lead_exported', actor: 'admin-1', detail: 'leads 2' }])
  })

  it('of an erased lead gives what is left, and of nobody else', async () => {
    const { store } = partitionOf()
    const [one, two] = [leadOf(), leadOf()]
    await store([one, two])
    const by = { actor: 'admin-1', requestId: 'r-1' }
    await privacy.erase(one.lead_id, by)
    await privacy.erase(two.lead_id, by)
    const found = await privacy.exportPerson(one.lead_id, by)
    expect(found?.leads).toMatchObject([{ leadId: one.lead_id, status: 'erased', email: '' }])
    expect(found?.audit.map(({ action }) => action)).toEqual(['lead_erased', 'lead_exported'])
  })
})
