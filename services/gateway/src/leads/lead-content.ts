import { canonicalJson } from '../json/canonical-json.ts'
import type { LeadInput } from './lead-schema.ts'

/**
 * The text that the hash of a lead's content is made of: that of `canonicalJson`. The fields of a lead are known, so all but its attributes are written in their order by one call
 * to the engine: 1 µs a lead in place of 5. Never to be changed: by this hash a resend is told from a conflict.
 */
export function leadContent(lead: LeadInput): string {
  const { address, attributes } = lead
  const before = address === undefined ? '{' : `{"address":${JSON.stringify(address)},`
  const behind = attributes === undefined ? '' : `"attributes":${canonicalJson(attributes)},`
  return before + behind + othersText(lead).slice(1)
}

/** Names are required, so this is no empty object; what is undefined is left out. */
function othersText(lead: LeadInput): string {
  return JSON.stringify({
    campaign: lead.campaign,
    city: lead.city,
    consent: lead.consent,
    country: lead.country,
    date_of_birth: lead.date_of_birth,
    email: lead.email,
    first_name: lead.first_name,
    last_name: lead.last_name,
    phone: lead.phone,
    postal_code: lead.postal_code,
    source: lead.source,
  } satisfies Record<keyof Omit<LeadInput, 'address' | 'attributes'>, unknown>)
}
