import { hash } from 'node:crypto'
import type { PlainLead } from '@millrace/storage/sealing'
import type { Fault } from '../errors.ts'
import { pointerStep } from '../json/json-pointer.ts'
import { leadAttributesBytesMax } from '../limits.ts'
import { compileCheck } from '../schema/schema-check.ts'
import { dayOf, isDay } from './calendar-day.ts'
import { leadContent } from './lead-content.ts'
import { LeadInput } from './lead-schema.ts'
import type { LeadFields } from './live-fields.ts'

/** What the gateway adds to a lead. */
export interface LeadReception {
  readonly leadId: string
  readonly submittedBy: string
  readonly requestId: string
  readonly receivedAtMs: number
}

/** Turns submitted values into leads. */
export interface LeadReader {
  /**
   * Every fault of a submitted value, those of its source's fields among them; empty when it is a lead. `root` is its pointer in the body. Throws `NOT_READY` as long as the
   * definitions of fields are not known.
   */
  faults(value: unknown, at: { readonly root: string; readonly nowMs: number }): Fault[]
  /** The lead of a value without faults, in the clear. Throws a plain error for one with faults: that is our mistake. */
  toLead(value: unknown, reception: LeadReception): PlainLead
}

const firstBirthday = '1900-01-01'
const phoneDigitsMin = 5

/** Makes the reader: its schema is compiled once, definitions of fields whenever they change. */
export function createLeadReader(fields: Pick<LeadFields, 'of'>): LeadReader {
  const { check, faults } = compileCheck(LeadInput)
  // Once: asking the engine for the name of a country takes a microsecond.
  const countries = knownCountries()

  function addRuleFaults(lead: Partial<Record<keyof LeadInput, unknown>>, { root, nowMs, found }: RuleContext): void {
    const add = (field: string, detail: string) => found.push({ in: 'body', pointer: `${root}/${field}`, detail })
    const { date_of_birth: birth, country, phone, attributes } = lead
    if (typeof birth === 'string') {
      if (!isDay(birth)) add('date_of_birth', 'must be a day that exists')
      else if (birth < firstBirthday) add('date_of_birth', `must be ${firstBirthday} or later`)
      // A day ahead, because it is tomorrow already elsewhere.
      else if (birth > dayOf(nowMs + 86_400_000)) add('date_of_birth', 'must not be in the future')
    }
    if (typeof country === 'string' && !countries.has(country)) add('country', 'must be a country of ISO 3166-1')
    if (typeof phone === 'string' && countDigits(phone) < phoneDigitsMin) {
      add('phone', `must have at least ${phoneDigitsMin} digits`)
    }
    const bytes = attributes === undefined ? 0 : Buffer.byteLength(JSON.stringify(attributes))
    if (bytes > leadAttributesBytesMax)
      add('attributes', `must have at most ${leadAttributesBytesMax} bytes; it has ${bytes}`)
  }

  function addFieldFaults(source: unknown, attributes: unknown, { root, found }: RuleContext): void {
    const rules = fields.of(typeof source === 'string' ? source : null)
    if (rules === undefined || (attributes !== undefined && !isObject(attributes))) return
    rules.check(attributes, { root: `${root}/attributes`, faults: found })
  }

  return {
    faults(value, { root, nowMs }) {
      if (check(value)) {
        const found: Fault[] = []
        addRuleFaults(value, { root, nowMs, found })
        addFieldFaults(value.source, value.attributes, { root, nowMs, found })
        return found
      }
      const found = faults(value, { in: 'body', root, unknownHint: ': put it into "attributes"' })
      if (!isObject(value)) return found
      // The members that have the right form may break a rule besides.
      const broken = new Set(found.map(({ pointer }) => pointer))
      const sound = Object.fromEntries(Object.entries(value).filter(([name]) => !broken.has(root + pointerStep(name))))
      addRuleFaults(sound, { root, nowMs, found })
      const { source, attributes } = value
      if (!broken.has(`${root}/source`)) addFieldFaults(source, attributes, { root, nowMs, found })
      return found
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
        content_hash: hash('sha256', leadContent(value)),
        submitted_by: reception.submittedBy,
        request_id: reception.requestId,
        received_at: reception.receivedAtMs,
      }
    },
  }
}

interface RuleContext {
  readonly root: string
  readonly nowMs: number
  /** Gets the faults. */
  readonly found: Fault[]
}

/** The codes of ISO 3166-1. */
function knownCountries(): ReadonlySet<string> {
  const regions = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
  const codes = letters.flatMap((first) => letters.map((second) => first + second))
  return new Set(codes.filter((code) => regions.of(code) !== undefined))
}

function countDigits(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= 0x30 && code <= 0x39) count++
  }
  return count
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
