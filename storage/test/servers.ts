import { randomUUID } from 'node:crypto'
import type { ApiLog, Lead } from '@millrace/schemas'
import type { ClickHouseOptions } from '@millrace/storage/clickhouse'
import { createLeadTreeStore, type Mysql, type MysqlOptions, openMysql } from '@millrace/storage/mysql'
import { type LeadKey, LeafSource, type PlainLead, readLeadKey, sealLead, treesHeld } from '@millrace/storage/sealing'

/** A variable that names a real server; a test fails without it instead of passing unseen. */
export function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '')
    throw new Error(`${name} is not set: these tests need the real servers (npm test starts them)`)
  return value
}

/** Where MySQL is, as the variables say. */
export function mysqlOptionsOfTests(): MysqlOptions {
  return {
    host: required('MILLRACE_MYSQL_HOST'),
    port: Number(required('MILLRACE_MYSQL_PORT')),
    user: required('MILLRACE_MYSQL_USER'),
    password: required('MILLRACE_MYSQL_PASSWORD'),
    database: required('MILLRACE_MYSQL_DATABASE'),
  }
}

/** MySQL as the variables say. */
export function mysqlOfTests(options: { connectionsMax?: number; callTimeoutMs?: number } = {}): Mysql {
  return openMysql({ ...mysqlOptionsOfTests(), connectionsMax: 4, ...options })
}

/** The master key of leads, as the variables say. */
export function leadKeyOfTests(): LeadKey {
  return readLeadKey(required('MILLRACE_LEAD_KEY'))
}

/** Seals leads as a gateway does; the same object gives the same record again. */
export function sealerOfTests(mysql: Mysql): (lead: PlainLead) => Promise<Lead> {
  const leadKey = leadKeyOfTests()
  const leaves = new LeafSource(createLeadTreeStore(mysql, leadKey), leadKey)
  const sealed = new WeakMap<PlainLead, Lead>()
  return async (lead) => {
    await leaves.hold(treesHeld)
    const key = leaves.take()
    if (key === undefined) throw new Error('there is no key')
    const record = sealed.get(lead) ?? sealLead(lead, leadKey, key)
    sealed.set(lead, record)
    return record
  }
}

/** A name that no other test and no earlier run has. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`
}

/** A valid lead of a person of its own, with `changes`. */
export function leadOf(changes: Partial<PlainLead> = {}): PlainLead {
  return {
    lead_id: randomUUID(),
    first_name: 'Zoë',
    last_name: 'Çelik 🌾',
    email: `${uniqueName('zoe')}@example.org`,
    phone: null,
    date_of_birth: '1990-02-28',
    address: null,
    city: null,
    postal_code: null,
    country: 'TR',
    source: 'web',
    campaign: null,
    consent: true,
    attributes: '{"size":"40"}',
    content_hash: 'a'.repeat(64),
    submitted_by: 'user-1',
    request_id: randomUUID(),
    received_at: Date.UTC(2026, 10, 21, 9, 30, 0, 123),
    ...changes,
  }
}

/** A valid API log record, with `changes`. */
export function apiLogOf(changes: Partial<ApiLog> = {}): ApiLog {
  return {
    request_id: randomUUID(),
    method: 'POST',
    route: '/api/v1/lead/process',
    principal: 'user-1',
    role: 'user',
    received_at: Date.UTC(2026, 10, 21, 9, 30),
    request_bytes: 312,
    content_type: 'application/json',
    responded_at: Date.UTC(2026, 10, 21, 9, 30, 0, 40),
    status: 201,
    response_bytes: 88,
    duration_ms: 40.25,
    error_code: null,
    accepted: 1,
    rejected: null,
    ...changes,
  }
}

/** ClickHouse as the variables say. */
export function clickHouseOptionsOfTests(): ClickHouseOptions {
  return {
    url: required('MILLRACE_CLICKHOUSE_URL'),
    user: required('MILLRACE_CLICKHOUSE_USER'),
    password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
    database: required('MILLRACE_CLICKHOUSE_DATABASE'),
  }
}
