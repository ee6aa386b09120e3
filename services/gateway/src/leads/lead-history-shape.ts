import { type Static, Type } from 'typebox'
import { exampleLeadId, exampleStoredLead, StoredLead, toStoredLead } from './lead-shape.ts'
import type { KeptLead, KeptStep } from './ports.ts'

const LeadStep = Type.Object({
  status: Type.Enum(['received', 'stored', 'duplicate', 'rejected', 'erased']),
  at: Type.String({ description: 'ISO 8601.' }),
  reason: Type.Optional(Type.String()),
})

const nullableText = Type.Unsafe<string | null>({ type: ['string', 'null'] })

/** One, for the API's document. */
export const exampleLeadLife = {
  ...exampleStoredLead,
  history: [
    { status: 'received', at: '2025-11-24T16:00:00.000Z' },
    { status: 'stored', at: '2025-11-24T16:00:00.120Z' },
  ],
}

/** One lead with what became of it. Of a rejected one nothing but its history is kept. */
export const LeadLife = Type.Object(
  {
    ...StoredLead.properties,
    submitted_by: nullableText,
    request_id: nullableText,
    received_at: nullableText,
    stored_at: nullableText,
    history: Type.Array(LeadStep, { description: 'What became of the lead, in order.' }),
  },
  {
    title: 'LeadLife',
    description: 'The lead and its history. Of a rejected or erased lead everything personal is null.',
    examples: [
      exampleLeadLife,
      {
        ...exampleStoredLead,
        status: 'duplicate',
        duplicate_of: exampleLeadId,
        history: [
          { status: 'received', at: '2025-11-24T16:00:00.000Z' },
          { status: 'stored', at: '2025-11-24T16:00:00.120Z' },
          { status: 'duplicate', at: '2025-11-24T16:00:00.120Z', reason: `duplicate of ${exampleLeadId}` },
        ],
      },
    ],
  },
)
export type LeadLife = Static<typeof LeadLife>

/** A lead and its history as the API gives them out; undefined when the store knows neither. */
export function toLeadLife(
  leadId: string,
  lead: KeptLead | undefined,
  history: readonly KeptStep[],
): LeadLife | undefined {
  if (lead !== undefined) return { ...toStoredLead(lead), history: toSteps(history) }
  const [first] = history
  const last = history.at(-1)
  if (first === undefined || last === undefined) return undefined
  return {
    ...nothing,
    lead_id: leadId,
    status: last.status,
    received_at: first.at.toISOString(),
    history: toSteps(history),
  }
}

/** Steps as the API gives them out. */
export function toSteps(history: readonly KeptStep[]): LeadLife['history'] {
  return history.map(({ status, at, reason }) => {
    const step = { status, at: at.toISOString() }
    return reason === null ? step : { ...step, reason }
  })
}

const nothing = {
  first_name: null,
  last_name: null,
  email: null,
  phone: null,
  date_of_birth: null,
  address: null,
  city: null,
  postal_code: null,
  country: null,
  source: null,
  campaign: null,
  consent: null,
  attributes: {},
  duplicate_of: null,
  submitted_by: null,
  request_id: null,
  stored_at: null,
}
