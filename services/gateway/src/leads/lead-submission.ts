import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Lead, LeadOutcome } from '@millrace/schemas'
import { type Fault, GatewayError } from '../errors.ts'
import { invalidBody } from '../http/validation.ts'
import type { Durability, TopicWriter } from '../kafka/ports.ts'
import type { BulkLead } from './bulk-body.ts'
import { isIdempotencyKey, keyRule } from './idempotency-key.ts'
import { leadId, NewLeadIds } from './lead-id.ts'
import type { LeadOutcomes } from './lead-outcomes.ts'
import type { LeadReader } from './lead-reader.ts'
import type { LeadSealer } from './lead-sealer.ts'

/** Where a lead comes from. */
export interface Submission {
  readonly submittedBy: string
  readonly requestId: string
  readonly receivedAtMs: number
  readonly key: string | undefined
}

/** What became of one lead of a bulk request. */
export type BulkItem =
  | { readonly index: number; readonly status: 'accepted'; readonly lead_id: string }
  | { readonly index: number; readonly status: 'rejected'; readonly errors: Fault[] }

/** Leads that are safe, and where. */
export interface Taken<T> {
  readonly durability: Durability
  readonly taken: T
}

/** Takes leads on their way to Kafka, and waits for what becomes of them where that is asked for. */
export interface LeadDesk {
  /** Writes one lead, sealed, and answers its id. Throws `NOT_READY` when there is nothing to seal it with, `INVALID_BODY` with every fault, and what the writer throws, with the `lead_id`. */
  accept(value: unknown, submission: Submission): Promise<Taken<string>>
  /** Writes one lead and waits for its outcome. Throws also `OUTCOME_PENDING` with the `lead_id`, `NOT_READY` and `OVERLOADED`. */
  process(value: unknown, submission: Submission): Promise<{ leadId: string; outcome: LeadOutcome }>
  /** Writes the valid leads of a bulk request, at once; the others come back with their faults. */
  acceptAll(bulk: Iterable<BulkLead>, submission: Submission): Promise<Taken<readonly BulkItem[]>>
}

/** Leads that are checked in one go before other requests get their turn: about 5 ms. */
const leadsPerTurn = 500

/** Makes the desk. */
export function createLeadDesk(deps: {
  readonly reader: LeadReader
  readonly sealer: Pick<LeadSealer, 'seal'>
  readonly leads: TopicWriter<Lead>
  /** For leads whose outcome is waited for. */
  readonly leadsNow: TopicWriter<Lead>
  readonly outcomes: LeadOutcomes
  readonly outcomesAreFollowed: () => boolean
  readonly outcomeTimeoutMs: number
}): LeadDesk {
  const { reader, sealer, leads, leadsNow, outcomes } = deps

  function read(value: unknown, submission: Submission): Lead {
    const faults = reader.faults(value, { root: '', nowMs: submission.receivedAtMs })
    if (faults.length > 0) throw invalidBody(faults)
    const { key, submittedBy: principal, receivedAtMs } = submission
    return toLead(
      value,
      submission,
      key === undefined ? new NewLeadIds(receivedAtMs).next() : leadId({ principal, key }),
    )
  }

  function toLead(value: unknown, { submittedBy, requestId, receivedAtMs }: Submission, id: string): Lead {
    return sealer.seal(reader.toLead(value, { leadId: id, submittedBy, requestId, receivedAtMs }))
  }

  async function accept(value: unknown, submission: Submission): Promise<Taken<string>> {
    const lead = read(value, submission)
    return { durability: await withLeadId(lead, () => leads.write([lead])), taken: lead.lead_id }
  }

  async function process(value: unknown, submission: Submission) {
    const lead = read(value, submission)
    if (!deps.outcomesAreFollowed()) {
      const detail = 'Outcomes are not followed right now: use /lead/process-async, or try again in a moment.'
      throw new GatewayError('NOT_READY', detail)
    }
    const expected = outcomes.expect(submission.requestId, deps.outcomeTimeoutMs)
    try {
      await withLeadId(lead, () => leadsNow.write([lead]))
    } catch (error) {
      expected.cancel()
      throw error
    }
    const outcome = await expected.outcome
    if (outcome === undefined) throw pending(lead.lead_id)
    return { leadId: lead.lead_id, outcome }
  }

  async function acceptAll(bulk: Iterable<BulkLead>, submission: Submission): Promise<Taken<readonly BulkItem[]>> {
    const items: BulkItem[] = []
    const batch = leads.begin()
    const newIds = new NewLeadIds(submission.receivedAtMs)
    let place = 0
    for (const sent of bulk) {
      if (place++ % leadsPerTurn === leadsPerTurn - 1) await nextTurn()
      const { index, pointer } = sent
      const { value, key, keyFaults } = takeKey(sent)
      const own = value === undefined ? [] : reader.faults(value, { root: pointer, nowMs: submission.receivedAtMs })
      if (sent.faults.length + keyFaults.length + own.length > 0) {
        items.push({ index, status: 'rejected', errors: [...sent.faults, ...keyFaults, ...own] })
        continue
      }
      const lead = toLead(value, submission, idInBulk(submission, key, index) ?? newIds.next())
      batch.add(lead)
      items.push({ index, status: 'accepted', lead_id: lead.lead_id })
    }
    const durability = await batch.write()
    return { durability, taken: items }
  }

  return { accept, process, acceptAll }
}

/** Whoever gets no answer from Kafka must be able to ask what became of the lead. */
async function withLeadId(lead: Lead, write: () => Promise<Durability>): Promise<Durability> {
  try {
    return await write()
  } catch (error) {
    // These say that nothing of it was taken.
    if (error instanceof GatewayError && ['OVERLOADED', 'SPILL_UNAVAILABLE'].includes(error.code)) throw error
    const detail =
      'Kafka did not acknowledge the lead in time; it may have been written nevertheless. Send it again with the same Idempotency-Key.'
    throw new GatewayError('KAFKA_UNAVAILABLE', detail, { cause: error, extensions: { lead_id: lead.lead_id } })
  }
}

function pending(lead_id: string): GatewayError {
  const detail =
    'The lead is safe in Kafka, but the database has not decided about it yet. It needs no second submission; with the same Idempotency-Key one does no harm.'
  return new GatewayError('OUTCOME_PENDING', detail, { extensions: { lead_id } })
}

/** A key of its own stands for the lead wherever it is sent; the request's key for its place in this request. Undefined without either. */
function idInBulk(
  { submittedBy: principal, key: ofRequest }: Submission,
  key: string | undefined,
  index: number,
): string | undefined {
  if (key !== undefined) return leadId({ principal, key })
  return ofRequest === undefined ? undefined : leadId({ principal, key: ofRequest, index })
}

/** A lead of a bulk request without the key that it may carry. */
function takeKey({ value, pointer }: BulkLead): {
  readonly value: unknown
  readonly key: string | undefined
  readonly keyFaults: readonly Fault[]
} {
  if (typeof value !== 'object' || value === null || !('idempotency_key' in value)) {
    return { value, key: undefined, keyFaults: noFaults }
  }
  const { idempotency_key: key, ...lead } = value
  if (typeof key === 'string' && isIdempotencyKey(key)) return { value: lead, key, keyFaults: noFaults }
  const fault: Fault = { in: 'body', pointer: `${pointer}/idempotency_key`, detail: keyRule }
  return { value: lead, key: undefined, keyFaults: [fault] }
}

const noFaults: readonly Fault[] = []
