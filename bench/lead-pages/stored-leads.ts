import { createHash, randomUUID } from 'node:crypto'
import { createLeadIntake, createLeadTreeStore, type Mysql } from '@millrace/storage/mysql'
import { type LeadKey, LeafSource, sealLead, treesHeld } from '@millrace/storage/sealing'

const dayMs = 86_400_000
/** Days that the leads lie in. */
export const days = 30
/** The first day's start. */
export const startMs = Date.UTC(2026, 9, 1)

/** Half of the leads come from the first, a quarter from the second, and so on. */
export const sources = ['web', 'fair', 'partner', 'mail', 'phone', 'shop'] as const
const plans = ['pro', 'basic', 'trial', 'free'] as const
/** Budgets are spread evenly below it. */
export const budgetMax = 100_000
/** Every so many leads are of the same few people. */
const duplicateEvery = 100
const people = 200
const rowsPerBatch = 2_000

/** Stores `count` leads by the sink's code, in the order of their times, each sealed. */
export async function storeLeads(
  mysql: Mysql,
  leadKey: LeadKey,
  { count, report }: { readonly count: number; readonly report: (line: string) => void },
): Promise<void> {
  report(`Storing ${count.toLocaleString('en')} leads …`)
  const intake = createLeadIntake(mysql, leadKey)
  const leaves = new LeafSource(createLeadTreeStore(mysql, leadKey), leadKey)
  await leaves.hold(treesHeld)
  for (let from = 0; from < count; from += rowsPerBatch) {
    const nextOffset = Math.min(from + rowsPerBatch, count)
    const batch = Array.from({ length: nextOffset - from }, (_, index) => {
      const key = leaves.take()
      if (key === undefined) throw new Error('a tree of keys was held, and has no key')
      return { offset: from + index, value: sealLead(leadAt(from + index, count), leadKey, key) }
    })
    const place = { group: 'bench-lead-pages', topic: 'leads', partition: 0, firstOffset: from, nextOffset }
    await intake.storeBatch({ ...place, settledOffset: from }, batch)
  }
}

/** Draws that are the same in every run. */
function drawn(number: number, what: string): number {
  return createHash('md5').update(`${what} ${number}`).digest().readUInt32BE(0)
}

function leadAt(number: number, count: number) {
  const isDuplicate = number % duplicateEvery === 0
  const person = isDuplicate ? `person-${drawn(number, 'person') % people}` : `lead-${number}`
  const source = sources[isDuplicate ? 0 : Math.min(Math.clz32(drawn(number, 'source')), sources.length - 1)] ?? 'web'
  const attributes = {
    plan: plans[drawn(number, 'plan') % plans.length],
    budget: drawn(number, 'budget') % budgetMax,
    reference: `${(drawn(number, 'reference') % 1_000_000).toString(36)}-${number % 97}`,
  }
  return {
    lead_id: randomUUID(),
    first_name: 'Ada',
    last_name: 'Lovelace',
    email: `${person}@bench.example`,
    phone: null,
    date_of_birth: null,
    address: null,
    city: 'London',
    postal_code: 'SW1Y 4JH',
    country: 'GB',
    source,
    campaign: 'spring',
    consent: true,
    attributes: JSON.stringify(attributes),
    content_hash: createHash('sha256').update(person).digest('hex'),
    submitted_by: 'bench',
    request_id: randomUUID(),
    received_at: startMs + Math.floor((number / count) * days * dayMs),
  }
}
