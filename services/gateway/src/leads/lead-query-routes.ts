import { leadStatuses } from '@millrace/storage/mysql'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type Fault, GatewayError } from '../errors.ts'
import { isKnown } from '../http/entity-tag.ts'
import type { GatewayApp } from '../http/gateway-app.ts'
import { invalidParameter } from '../http/validation.ts'
import {
  leadEmailCharsMax,
  leadsOffsetMax,
  leadsPageDefault,
  leadsPageMax,
  leadTextCharsMax,
  queryCharsMax,
} from '../limits.ts'
import { exampleCursor, translateBadCursor } from '../schema/cursor.ts'
import { problemResponses } from '../schema/response.ts'
import { readTimeRange, timeParameter } from '../schema/time.ts'
import { attributeParameterPattern, attributeQueryDescription, readAttributeConditions } from './attribute-query.ts'
import type { LeadAnswer, LeadAnswers } from './lead-answers.ts'
import { LeadLife, toLeadLife } from './lead-history-shape.ts'
import { LeadParams } from './lead-params.ts'
import { exampleStoredLead, StoredLead, toStoredLead } from './lead-shape.ts'
import type { LeadFields } from './live-fields.ts'
import type { LeadListing, LeadStore } from './ports.ts'

/** What the routes that read leads need. */
export interface LeadQueryRoutesDeps {
  readonly leadStore: LeadStore
  readonly leadFields: LeadFields
  /** Shared by all who read leads; `forget` it where leads change that must not be seen again. */
  readonly answers: LeadAnswers
}

const LeadsQuery = Type.Object(
  {
    page: Type.Optional(Type.Integer({ minimum: 1, description: 'From 1; for deep pages use cursor.', examples: [1] })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: leadsPageMax, default: leadsPageDefault, examples: [20] }),
    ),
    status: Type.Optional(Type.Enum([...leadStatuses], { examples: ['stored'] })),
    email: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: leadEmailCharsMax,
        description: 'The whole address, without regard to case.',
        examples: [exampleStoredLead.email],
      }),
    ),
    phone: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        pattern: '[0-9]',
        'x-rule': 'must have digits',
        description: 'The whole number, by its digits.',
        examples: ['+44 20 7946 0958'],
      }),
    ),
    source: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: leadTextCharsMax,
        description: 'Without regard to case.',
        examples: ['web'],
      }),
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
  {
    additionalProperties: false,
    // Which of them there are is known to the definitions of fields only.
    patternProperties: { [attributeParameterPattern]: {} },
  },
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

const sharedDescription =
  'Answers are shared by all who ask the same within a second, so they may be as old. They have an ETag: sent as If-None-Match, the same answer is 304 without a body.'
const NotModified = Type.Unsafe<undefined>({ type: 'null', description: 'As it was when its ETag was given out.' })

/** Reads leads back, for admins. */
export function registerLeadQueryRoutes(
  app: GatewayApp,
  { leadStore, leadFields, answers }: LeadQueryRoutesDeps,
): void {
  const refusals = ['INVALID_PARAMETER', 'UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED', 'STORE_UNAVAILABLE'] as const

  app.route({
    method: 'GET',
    url: '/api/v1/leads',
    config: { access: 'leads:read' },
    schema: {
      tags: ['leads'],
      operationId: 'listLeads',
      summary: 'Stored leads',
      description: `${attributeQueryDescription} ${sharedDescription}`,
      querystring: LeadsQuery,
      response: { 200: LeadsPage, 304: NotModified, ...problemResponses(...refusals) },
    },
    handler: async (request, reply) => {
      const { query } = request
      const faults: Fault[] = []
      const range = readTimeRange(query, faults)
      const { limit = leadsPageDefault, status, email, phone, source, sort, cursor } = query
      const attributes = readAttributeConditions(query, { fields: leadFields, source, faults })
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
      const listing = { limit, page, cursor, status, email, phone, source, attributes, ...range, sort }
      const answer = await answers.read(JSON.stringify(listing), () => listLeads(leadStore, listing))
      return sendAnswer(request, reply, answer)
    },
  })

  app.route({
    method: 'GET',
    url: '/api/v1/leads/:lead_id',
    config: { access: 'leads:read' },
    schema: {
      tags: ['leads'],
      operationId: 'getLead',
      summary: 'One lead, and what became of it',
      description: sharedDescription,
      params: LeadParams,
      response: { 200: LeadLife, 304: NotModified, ...problemResponses(...refusals, 'LEAD_NOT_FOUND') },
    },
    handler: async (request, reply) => {
      const id = request.params.lead_id.toLowerCase()
      const answer = await answers.read(id, async () => {
        const [lead, history] = await Promise.all([leadStore.byId(id), leadStore.historyOf(id)])
        return toLeadLife(id, lead, history)
      })
      return sendAnswer(request, reply, answer)
    },
  })
}

async function listLeads(leadStore: LeadStore, listing: LeadListing) {
  const found = await translateBadCursor(() => leadStore.list(listing))
  return {
    leads: found.leads.map(toStoredLead),
    page: listing.page ?? null,
    limit: listing.limit,
    total: found.total,
    total_is_exact: found.totalIsExact,
    next_cursor: found.nextCursor,
  }
}

/** Throws `LEAD_NOT_FOUND` when there is nothing to be said. */
function sendAnswer(request: FastifyRequest, reply: FastifyReply, answer: LeadAnswer | undefined): FastifyReply {
  if (answer === undefined) throw new GatewayError('LEAD_NOT_FOUND', 'No lead with this id is stored.')
  reply.header('etag', answer.etag)
  if (isKnown(request.headers['if-none-match'], answer.etag)) return reply.code(304).send()
  return reply.type('application/json; charset=utf-8').send(answer.text)
}
