import { type Static, Type } from 'typebox'
import type { KeptLead } from './ports.ts'

const nullableText = Type.Unsafe<string | null>({ type: ['string', 'null'] })

/** One, for the API's document. */
export const exampleLeadId = '0190c5a4-5c1e-7d3a-9f6b-2f6f0e6a7b11'
export const exampleStoredLead = {
  lead_id: exampleLeadId,
  status: 'stored',
  first_name: 'Ada',
  last_name: 'Lovelace',
  email: 'ada@example.com',
  phone: null,
  date_of_birth: null,
  address: null,
  city: null,
  postal_code: null,
  country: 'GB',
  source: null,
  campaign: null,
  consent: null,
  attributes: { plan: 'pro' },
  duplicate_of: null,
  submitted_by: '0190c5a4-0000-7000-8000-000000000001',
  request_id: '2bf26168-85b3-4f29-974a-b83a6c164fb3',
  received_at: '2025-11-24T16:00:00.000Z',
  stored_at: '2025-11-24T16:00:00.120Z',
}

/** A stored lead as the API gives it out. */
export const StoredLead = Type.Object(
  {
    lead_id: Type.String(),
    status: Type.String({ description: 'stored, duplicate or erased.' }),
    first_name: nullableText,
    last_name: nullableText,
    email: nullableText,
    phone: nullableText,
    date_of_birth: nullableText,
    address: nullableText,
    city: nullableText,
    postal_code: nullableText,
    country: nullableText,
    source: nullableText,
    campaign: nullableText,
    consent: Type.Unsafe<boolean | null>({ type: ['boolean', 'null'] }),
    attributes: Type.Object({}, { additionalProperties: true }),
    duplicate_of: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: 'Of a duplicate: the lead_id of the first lead of this person and source.',
    }),
    submitted_by: Type.String({ description: 'The account that submitted it.' }),
    request_id: Type.String(),
    received_at: Type.String({ description: 'ISO 8601.' }),
    stored_at: Type.String({ description: 'ISO 8601.' }),
  },
  {
    title: 'StoredLead',
    description: 'The lead. Of an erased one everything personal is null.',
    examples: [exampleStoredLead],
  },
)
export type StoredLead = Static<typeof StoredLead>

/** A lead of the store as the API gives it out. */
export function toStoredLead(lead: KeptLead): StoredLead {
  // The columns of an erased lead are empty where they cannot be null.
  const isErased = lead.status === 'erased'
  return {
    lead_id: lead.leadId,
    status: lead.status,
    first_name: isErased ? null : lead.firstName,
    last_name: isErased ? null : lead.lastName,
    email: isErased ? null : lead.email,
    phone: lead.phone,
    date_of_birth: lead.dateOfBirth,
    address: lead.address,
    city: lead.city,
    postal_code: lead.postalCode,
    country: lead.country,
    source: lead.source,
    campaign: lead.campaign,
    consent: lead.consent,
    attributes: JSON.parse(lead.attributes),
    duplicate_of: lead.duplicateOf,
    submitted_by: lead.submittedBy,
    request_id: lead.requestId,
    received_at: lead.receivedAt.toISOString(),
    stored_at: lead.storedAt.toISOString(),
  }
}
