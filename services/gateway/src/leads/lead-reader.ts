import { createHash } from 'node:crypto'
import type { Lead } from '@millrace/schemas'
import type { Fault } from '../errors.ts'
import { canonicalJson } from '../json/canonical-json.ts'
import { leadAttributesBytesMax } from '../limits.ts'
import { compileCheck } from '../schema/schema-check.ts'
import { LeadInput } from './lead-schema.ts'

/** What the gateway adds to a lead. */
export interface LeadReception {
  readonly leadId: string
  readonly submittedBy: string
  readonly requestId: string
  readonly receivedAtMs: number
}

/** Turns submitted values into leads. */
export interface LeadReader {
  /** Every fault of a submitted value; empty when it is a lead. `root` is its pointer in the body. */
  faults(value: unknown, at: { readonly root: string; readonly nowMs: number }): Fault[]
  /** The record of a value without faults. Throws a plain error for one with faults: that is our mistake. */
  toLead(value: unknown, reception: LeadReception): Lead
}

const firstBirthday = '1900-01-01'
const phoneDigitsMin = 5

/** Makes the reader: its schema is compiled once. */
export function createLeadReader(): LeadReader {
  const { check, faults } = compileCheck(LeadInput)
  // Only to ask whether a code is a country's: undefined for those that are not.
  const regions = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })

  function ruleFaults(lead: LeadInput, root: string, nowMs: number): Fault[] {
    const found: Fault[] = []
    const add = (field: string, detail: string) => found.push({ in: 'body', pointer: `${root}/${field}`, detail })
    const { date_of_birth: birth, country, phone, attributes } = lead
    if (typeof birth === 'string') {
      if (!isDay(birth)) add('date_of_birth', 'must be a day that exists')
      else if (birth < firstBirthday) add('date_of_birth', `must be ${firstBirthday} or later`)
      // A day ahead, because it is tomorrow already elsewhere.
      else if (birth > dayOf(nowMs + 86_400_000)) add('date_of_birth', 'must not be in the future')
    }
    if (typeof country === 'string' && regions.of(country) === undefined)
      add('country', 'must be a country of ISO 3166-1')
    if (typeof phone === 'string' && phone.replace(/\D/g, '').length < phoneDigitsMin) {
      add('phone', `must have at least ${phoneDigitsMin} digits`)
    }
    const bytes = attributes === undefined ? 0 : Buffer.byteLength(JSON.stringify(attributes))
    if (bytes > leadAttributesBytesMax)
      add('attributes', `must have at most ${leadAttributesBytesMax} bytes; it has ${bytes}`)
    return found
  }

  return {
    faults(value, { root, nowMs }) {
      if (check(value)) return ruleFaults(value, root, nowMs)
      return faults(value, { in: 'body', root, unknownHint: ': put it into "attributes"' })
    },

    toLead(value, reception) {
      if (!check(value)) throw new Error('a lead was taken that is none: ask for its faults first')
      return {
        lead_id: reception.leadId,
        first_name: value.first_name,
        last_name: value.last_name,
        email: value.email,
        phone: value.phone ?? null,
        date_of_birth: value.date_of_birth ?? null,
        address: value.address ?? null,
        city: value.city ?? null,
        postal_code: value.postal_code ?? null,
        country: value.country ?? null,
        source: value.source ?? null,
        campaign: value.campaign ?? null,
        consent: value.consent ?? null,
        attributes: JSON.stringify(value.attributes ?? {}),
        content_hash: createHash('sha256').update(canonicalJson(value)).digest('hex'),
        submitted_by: reception.submittedBy,
        request_id: reception.requestId,
        received_at: reception.receivedAtMs,
      }
    },
  }
}

/** Whether a text of the form YYYY-MM-DD names a day of the calendar. */
function isDay(text: string): boolean {
  const ms = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(ms) && dayOf(ms) === text
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
