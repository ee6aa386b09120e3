import { randomUUID } from 'node:crypto'
import type { ApiLog, Lead } from '@millrace/schemas'
import type { PlainLead } from '@millrace/storage/sealing'
import { type RecordView, SinkBatch } from '@millrace/streams/sink'

/** A batch whose records have these values, at offsets from `firstOffset` on. */
export function batchOf(values: readonly (Buffer | null)[], firstOffset = 0): SinkBatch {
  const batch = new SinkBatch({ topic: 'leads', partition: 1 }, firstOffset)
  for (const [index, value] of values.entries()) {
    const record: RecordView = {
      bytes: value ?? Buffer.alloc(0),
      offset: firstOffset + index,
      timestamp: 1_700_000_000_000,
      keyStart: -1,
      keyEnd: -1,
      valueStart: value === null ? -1 : 0,
      valueEnd: value === null ? -1 : value.length,
      headers: () => [],
    }
    batch.append(record)
  }
  return batch
}

/** A valid lead, with `changes`: also as the record of a version that did not seal. */
export function leadOf(changes: Partial<PlainLead> = {}): PlainLead & Lead {
  return {
    lead_id: randomUUID(),
    first_name: 'Zoë',
    last_name: 'Çelik',
    email: 'zoe@example.org',
    phone: null,
    date_of_birth: '1990-02-28',
    address: null,
    city: null,
    postal_code: null,
    country: 'TR',
    source: 'web',
    campaign: null,
    consent: true,
    attributes: '{}',
    content_hash: 'a'.repeat(64),
    submitted_by: 'user-1',
    request_id: randomUUID(),
    received_at: Date.UTC(2026, 10, 21, 9, 30),
    key_tree: null,
    key_leaf: null,
    sealed: null,
    ...changes,
  }
}

/** A valid API log record, with `changes`. */
export function apiLogOf(changes: Partial<ApiLog> = {}): ApiLog {
  return {
    request_id: randomUUID(),
    method: 'GET',
    route: '/stats',
    principal: 'user-1',
    role: 'analyst',
    received_at: Date.UTC(2026, 10, 21, 9, 30),
    request_bytes: 0,
    content_type: null,
    responded_at: Date.UTC(2026, 10, 21, 9, 30, 0, 3),
    status: 200,
    response_bytes: 880,
    duration_ms: 3.5,
    error_code: null,
    accepted: null,
    rejected: null,
    ...changes,
  }
}
