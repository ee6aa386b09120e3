import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lead } from '@millrace/schemas'
import { createLeadTreeStore, type Mysql, openMysql } from '@millrace/storage/mysql'
import { type LeadKey, LeafSource, type PlainLead, readLeadKey, sealLead, treesHeld } from '@millrace/storage/sealing'

/** A variable that names a real server; a test fails without it instead of passing unseen. */
export function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set: these tests need the real servers (npm test starts them)`)
  }
  return value
}

/** MySQL as the variables say. */
export function mysqlOfTests(): Mysql {
  return openMysql({
    host: required('MILLRACE_MYSQL_HOST'),
    port: Number(required('MILLRACE_MYSQL_PORT')),
    user: required('MILLRACE_MYSQL_USER'),
    password: required('MILLRACE_MYSQL_PASSWORD'),
    database: required('MILLRACE_MYSQL_DATABASE'),
  })
}

/** The master key of leads, as the variables say. */
export function leadKeyOfTests(): LeadKey {
  return readLeadKey(required('MILLRACE_LEAD_KEY'))
}

/** Seals leads as a gateway does. */
export function sealerOfTests(mysql: Mysql): (lead: PlainLead) => Promise<Lead> {
  const leadKey = leadKeyOfTests()
  const leaves = new LeafSource(createLeadTreeStore(mysql, leadKey), leadKey)
  return async (lead) => {
    await leaves.hold(treesHeld)
    const key = leaves.take()
    if (key === undefined) throw new Error('there is no key')
    return sealLead(lead, leadKey, key)
  }
}

/** Kafka's brokers as the variables say. */
export function brokersOfTests(): readonly string[] {
  return required('MILLRACE_KAFKA_BROKERS').split(',')
}

/** A name that no other test and no earlier run has. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`
}

/** Asks again and again until `probe` gives something; throws with `what` after 60 s. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const startedMs = performance.now()
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== false) return found
    if (performance.now() - startedMs > 60_000) throw new Error(`waited in vain for ${what}`)
    await delay(20)
  }
}
