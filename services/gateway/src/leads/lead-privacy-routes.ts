import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { GatewayError } from '../errors.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { problemResponses } from '../schema/response.ts'
import { exampleLeadLife, LeadLife, toLeadLife } from './lead-history-shape.ts'
import { LeadParams } from './lead-params.ts'
import { exampleLeadId } from './lead-shape.ts'
import type { LeadPrivacyStore, PersonRecord } from './ports.ts'

const Erasure = Type.Object(
  {
    lead_id: Type.String(),
    status: Type.Enum(['erased']),
    erased_at: Type.String({ description: 'ISO 8601; of the first erasure, however often it is asked for.' }),
  },
  {
    title: 'LeadErasure',
    description: 'Nothing personal of the lead can be read any more: its keys are destroyed, its row is empty.',
    examples: [{ lead_id: exampleLeadId, status: 'erased', erased_at: '2025-11-24T18:00:00.000Z' }],
  },
)

const nullableText = Type.Unsafe<string | null>({ type: ['string', 'null'] })

const PersonExport = Type.Object(
  {
    lead_id: Type.String(),
    exported_at: Type.String({ description: 'ISO 8601.' }),
    email: nullableText,
    is_complete: Type.Boolean({ description: 'false when the address has more leads than one export holds.' }),
    leads: Type.Array(LeadLife, { description: 'The lead that was asked for, then the others of the same address.' }),
    submissions: Type.Array(
      Type.Object({
        request_id: Type.String(),
        method: Type.String(),
        route: Type.String(),
        submitted_by: nullableText,
        received_at: Type.String(),
      }),
      { description: 'The requests that the leads came with, as far as the log of the API still has them.' },
    ),
    audit: Type.Array(
      Type.Object({
        at: Type.String(),
        action: Type.String(),
        actor: nullableText,
        request_id: nullableText,
      }),
      { description: 'Who has exported or erased the leads, this export included.' },
    ),
  },
  {
    title: 'PersonExport',
    description: 'Everything that MySQL knows about the person, as a file.',
    examples: [
      {
        lead_id: exampleLeadId,
        exported_at: '2025-11-24T18:00:00.000Z',
        email: 'ada@example.com',
        is_complete: true,
        leads: [exampleLeadLife],
        submissions: [
          {
            request_id: '2bf26168-85b3-4f29-974a-b83a6c164fb3',
            method: 'POST',
            route: '/api/v1/lead/process',
            submitted_by: '0190c5a4-0000-7000-8000-000000000001',
            received_at: '2025-11-24T16:00:00.000Z',
          },
        ],
        audit: [
          {
            at: '2025-11-24T18:00:00.000Z',
            action: 'lead_exported',
            actor: '0190c5a4-0000-7000-8000-000000000002',
            request_id: '6f9619ff-8b86-4d01-b42d-00cf4fc964ff',
          },
        ],
      },
    ],
  },
)

/** What the routes of erasure and export need. */
export interface LeadPrivacyRoutesDeps {
  readonly privacy: LeadPrivacyStore
  /** Called before an erasure is answered: what was read of the lead must not be given out again. */
  readonly onErased: () => void
}

/** The rights of the people whom leads are about: to be forgotten, and to be told what is kept. */
export function registerLeadPrivacyRoutes(app: GatewayApp, { privacy, onErased }: LeadPrivacyRoutesDeps): void {
  const refusals = [
    'INVALID_PARAMETER',
    'UNAUTHENTICATED',
    'FORBIDDEN',
    'LEAD_NOT_FOUND',
    'RATE_LIMITED',
    'STORE_UNAVAILABLE',
  ] as const

  app.route({
    method: 'DELETE',
    url: '/api/v1/leads/:lead_id',
    config: { access: 'leads:erase' },
    schema: {
      tags: ['leads'],
      operationId: 'eraseLead',
      summary: 'Erases everything personal of a lead',
      description:
        'The lead stays listed as erased, with its id, times and history. A copy that is delivered again does not bring it back. Asked for again, it answers the same.',
      params: LeadParams,
      response: { 200: Erasure, ...problemResponses(...refusals) },
    },
    handler: async (request) => {
      const lead_id = request.params.lead_id.toLowerCase()
      const erasure = await privacy.erase(lead_id, requestedBy(request))
      if (erasure === undefined) throw notFound()
      onErased()
      return { lead_id, status: 'erased' as const, erased_at: erasure.erasedAt.toISOString() }
    },
  })

  app.route({
    method: 'GET',
    url: '/api/v1/leads/:lead_id/export',
    config: { access: 'leads:export' },
    schema: {
      tags: ['leads'],
      operationId: 'exportLead',
      summary: 'Everything known about the person of a lead, as a file',
      params: LeadParams,
      response: { 200: PersonExport, ...problemResponses(...refusals) },
    },
    handler: async (request, reply) => {
      const lead_id = request.params.lead_id.toLowerCase()
      const person = await privacy.exportPerson(lead_id, requestedBy(request))
      if (person === undefined) throw notFound()
      return reply
        .header('content-disposition', `attachment; filename="lead-${lead_id}.json"`)
        .header('cache-control', 'no-store')
        .send(toExport(lead_id, person, new Date(request.receivedAtMs)))
    },
  })
}

function requestedBy(request: FastifyRequest) {
  return { actor: principalOf(request).id, requestId: request.id }
}

function notFound(): GatewayError {
  return new GatewayError(
    'LEAD_NOT_FOUND',
    'No lead with this id is stored. One that was just taken may be on its way.',
  )
}

function toExport(lead_id: string, person: PersonRecord, exportedAt: Date) {
  const [asked] = person.leads
  return {
    lead_id,
    exported_at: exportedAt.toISOString(),
    email: asked === undefined || asked.status === 'erased' ? null : asked.email,
    is_complete: person.isComplete,
    leads: person.leads.flatMap((lead) => {
      const steps = person.history.filter(({ leadId }) => leadId === lead.leadId)
      return toLeadLife(lead.leadId, lead, steps) ?? []
    }),
    submissions: person.submissions.map(({ requestId, method, route, principal, receivedAt }) => {
      return { request_id: requestId, method, route, submitted_by: principal, received_at: receivedAt.toISOString() }
    }),
    audit: person.audit.map(({ at, action, actor, requestId }) => {
      return { at: at.toISOString(), action, actor, request_id: requestId }
    }),
  }
}
