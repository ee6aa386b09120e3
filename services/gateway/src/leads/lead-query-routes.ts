import { Type } from 'typebox'
import { type Fault, GatewayError } from '../errors.ts'
import type { GatewayApp } from '../http/gateway-app.ts'
import { invalidParameter } from '../http/validation.ts'
import { leadEmailCharsMax, leadsOffsetMax, leadsPageDefault, leadsPageMax, queryCharsMax } from '../limits.ts'
import { exampleCursor, translateBadCursor } from '../schema/cursor.ts'
import { problemResponses } from '../schema/response.ts'
import { readTimeRange, timeParameter } from '../schema/time.ts'
import { exampleLeadId, exampleStoredLead, StoredLead, toStoredLead } from './lead-shape.ts'
import type { LeadStore } from './ports.ts'

/** What the routes that read leads need. */
export interface LeadQueryRoutesDeps {
  readonly leadStore: LeadStore
}

const LeadsQuery = Type.Object(
  {
    page: Type.Optional(Type.Integer({ minimum: 1, description: 'From 1; for deep pages use cursor.', examples: [1] })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: leadsPageMax, default: leadsPageDefault, examples: [20] }),
    ),
    status: Type.Optional(Type.Enum(['stored'], { examples: ['stored'] })),
    email: Type.Optional(
      Type.String({ minLength: 1, maxLength: leadEmailCharsMax, examples: [exampleStoredLead.email] }),
    ),
    from: Type.Optional(timeParameter('Received at or after.', '2025-11-24')),
    to: Type.Optional(timeParameter('Received before.', '2025-11-25T12:00:00Z')),
    sort: Type.Optional(
      Type.Enum(['-received_at', 'received_at'], { default: '-received_at', examples: ['-received_at'] }),
    ),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: queryCharsMax,
        description: 'next_cursor of the page before; not together with page.',
        examples: [exampleCursor],
      }),
    ),
  },
  { additionalProperties: false },
)

const LeadsPage = Type.Object(
  {
    leads: Type.Array(StoredLead),
    page: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'null when a cursor was used.' }),
    limit: Type.Integer(),
    total: Type.Integer({ description: 'Leads that match; counted up to a bound.' }),
    total_is_exact: Type.Boolean(),
    next_cursor: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  },
  {
    title: 'LeadsPage',
    description: 'A page of leads.',
    examples: [{ leads: [exampleStoredLead], page: 1, limit: 50, total: 1, total_is_exact: true, next_cursor: null }],
  },
)

const LeadParams = Type.Object({
  lead_id: Type.String({
    pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
    'x-rule': 'must be a UUID',
    examples: [exampleLeadId],
  }),
})

/** Reads leads back, for admins. */
export function registerLeadQueryRoutes(app: GatewayApp, { leadStore }: LeadQueryRoutesDeps): void {
  const refusals = ['INVALID_PARAMETER', 'UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED', 'STORE_UNAVAILABLE'] as const

  app.route({
    method: 'GET',
    url: '/api/v1/leads',
    config: { access: 'leads:read' },
    schema: {
      tags: ['leads'],
      operationId: 'listLeads',
      summary: 'Stored leads',
      querystring: LeadsQuery,
      response: { 200: LeadsPage, ...problemResponses(...refusals) },
    },
    handler: async ({ query }) => {
      const faults: Fault[] = []
      const range = readTimeRange(query, faults)
      const { limit = leadsPageDefault, status, email, sort, cursor } = query
      const page = cursor === undefined ? (query.page ?? 1) : undefined
      if (cursor !== undefined && query.page !== undefined) {
        faults.push({ in: 'query', pointer: '/cursor', detail: 'must not come together with "page"' })
      }
      if (page !== undefined && (page - 1) * limit > leadsOffsetMax) {
        faults.push({
          in: 'query',
          pointer: '/page',
          detail: `reaches deeper than ${leadsOffsetMax} leads: use "cursor"`,
        })
      }
      if (faults.length > 0) throw invalidParameter(faults)
      const listing = { limit, page, cursor, status, email, ...range, sort }
      const found = await translateBadCursor(() => leadStore.list(listing))
      return {
        leads: found.leads.map(toStoredLead),
        page: page ?? null,
        limit,
        total: found.total,
        total_is_exact: found.totalIsExact,
        next_cursor: found.nextCursor,
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/api/v1/leads/:lead_id',
    config: { access: 'leads:read' },
    schema: {
      tags: ['leads'],
      operationId: 'getLead',
      summary: 'One stored lead',
      params: LeadParams,
      response: { 200: StoredLead, ...problemResponses(...refusals, 'LEAD_NOT_FOUND') },
    },
    handler: async ({ params }) => {
      const lead = await leadStore.byId(params.lead_id.toLowerCase())
      if (lead === undefined) throw new GatewayError('LEAD_NOT_FOUND', 'No lead with this id is stored.')
      return toStoredLead(lead)
    },
  })
}
