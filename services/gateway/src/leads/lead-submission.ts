import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Lead, LeadOutcome } from '@millrace/schemas'
import { type Fault, GatewayError } from '../errors.ts'
import { invalidBody } from '../http/validation.ts'
import type { JsonFault } from '../json/json-cursor.ts'
import type { Durability, TopicWriter } from '../kafka/ports.ts'
import { jsonFaultsMax, leadsPerRequestMax } from '../limits.ts'
import { leadId } from './lead-id.ts'
import type { LeadOutcomes } from './lead-outcomes.ts'
import type { LeadReader } from './lead-reader.ts'

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
  /** Writes one lead, and answers its id. Throws `INVALID_BODY` with every fault, and what the writer throws, with the `lead_id`. */
  accept(value: unknown, submission: Submission): Promise<Taken<string>>
  /** Writes one lead and waits for its outcome. Throws also `OUTCOME_PENDING` with the `lead_id`, `NOT_READY` and `OVERLOADED`. */
  process(value: unknown, submission: Submission): Promise<{ leadId: string; outcome: LeadOutcome }>
  /** Writes the valid leads of a bulk request, at once; the others come back with their faults. */
  acceptAll(bulk: BulkBody, submission: Submission): Promise<Taken<readonly BulkItem[]>>
}

/** The leads of a bulk request, and where they lie in its body. */
export interface BulkBody {
  readonly values: readonly unknown[]
  /** '' for an array, '/leads' for an object with that member. */
  readonly root: string
  readonly contentFaults: readonly JsonFault[]
}

/** Leads that are checked in one go before other requests get their turn: about 5 ms. */
const leadsPerTurn = 500

/** Makes the desk. */
export function createLeadDesk(deps: {
  readonly reader: LeadReader
  readonly leads: TopicWriter<Lead>
  /** For leads whose outcome is waited for. */
  readonly leadsNow: TopicWriter<Lead>
  readonly outcomes: LeadOutcomes
  readonly outcomesAreFollowed: () => boolean
  readonly outcomeTimeoutMs: number
}): LeadDesk {
  const { reader, leads, leadsNow, outcomes } = deps

  function read(value: unknown, submission: Submission): Lead {
    const faults = reader.faults(value, { root: '', nowMs: submission.receivedAtMs })
    if (faults.length > 0) throw invalidBody(faults)
    return toLead(value, submission)
  }

  function toLead(value: unknown, { key, ...submission }: Submission, index?: number): Lead {
    const place = key === undefined ? undefined : { principal: submission.submittedBy, key }
    const id = leadId(place === undefined || index === undefined ? place : { ...place, index })
    return reader.toLead(value, { ...submission, leadId: id })
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

  async function acceptAll(bulk: BulkBody, submission: Submission): Promise<Taken<readonly BulkItem[]>> {
    const contentFaults = byItem(bulk)
    const items: BulkItem[] = []
    const valid: Lead[] = []
    for (const [index, value] of bulk.values.entries()) {
      if (index % leadsPerTurn === leadsPerTurn - 1) await nextTurn()
      const at = { root: `${bulk.root}/${index}`, nowMs: submission.receivedAtMs }
      const faults = [...(contentFaults.get(index) ?? []), ...reader.faults(value, at)]
      if (faults.length > 0) {
        items.push({ index, status: 'rejected', errors: faults })
        continue
      }
      const lead = toLead(value, submission, index)
      valid.push(lead)
      items.push({ index, status: 'accepted', lead_id: lead.lead_id })
    }
    return { durability: valid.length > 0 ? await leads.write(valid) : 'kafka', taken: items }
  }

  return { accept, process, acceptAll }
}

/** The leads of a parsed bulk body. Throws `INVALID_BODY` and `BODY_TOO_LARGE`. */
export function readBulkBody(body: { readonly value: unknown; readonly faults: readonly JsonFault[] }): BulkBody {
  const { value, faults: contentFaults } = body
  const tooDeep = contentFaults.filter((fault) => fault.code === 'TOO_DEEP')
  // What is nested too deep was not parsed; and of more faults than are kept, nobody knows which leads they are in.
  if (tooDeep.length > 0 || contentFaults.length >= jsonFaultsMax) throw invalidBody(contentFaults.map(toFault))
  const bulk = Array.isArray(value) ? { values: value, root: '' } : fromObject(value)
  if (bulk.values.length === 0) {
    throw invalidBody([{ in: 'body', pointer: bulk.root, detail: 'must hold at least one lead' }])
  }
  if (bulk.values.length > leadsPerRequestMax) {
    const detail = `A request may hold at most ${leadsPerRequestMax} leads: send them in several requests.`
    throw new GatewayError('BODY_TOO_LARGE', detail)
  }
  return { ...bulk, contentFaults }
}

function fromObject(value: unknown): { values: readonly unknown[]; root: string } {
  const isObject = typeof value === 'object' && value !== null && 'leads' in value
  if (!isObject || !Array.isArray(value.leads)) {
    throw invalidBody([{ in: 'body', pointer: '', detail: 'must be an array of leads, or an object with "leads"' }])
  }
  const others = Object.keys(value).filter((name) => name !== 'leads')
  if (others.length > 0) {
    throw invalidBody(others.map((name) => ({ in: 'body', pointer: `/${name}`, detail: 'is not a known field' })))
  }
  return { values: value.leads, root: '/leads' }
}

/** The faults of each item; what is wrong outside of the items concerns the whole body. */
function byItem({ root, contentFaults }: BulkBody): ReadonlyMap<number, readonly Fault[]> {
  const items = new Map<number, Fault[]>()
  for (const fault of contentFaults) {
    const index = /^\d+/.exec(fault.pointer.slice(root.length + 1))?.[0]
    if (index === undefined || !fault.pointer.startsWith(`${root}/`)) throw invalidBody(contentFaults.map(toFault))
    const list = items.get(Number(index)) ?? []
    list.push(toFault(fault))
    items.set(Number(index), list)
  }
  return items
}

function toFault({ pointer, detail }: JsonFault): Fault {
  return { in: 'body', pointer, detail }
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
