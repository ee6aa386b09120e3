import type { LeadOutcome } from '@millrace/schemas'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type Fault, GatewayError } from '../errors.ts'
import { takeBytes } from '../http/body.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { invalidParameter } from '../http/validation.ts'
import { readStrictJson } from '../json/strict-json.ts'
import { durabilities, durabilityDescription } from '../kafka/ports.ts'
import {
  batchBodyBytesMax,
  leadEmailCharsMax,
  leadsOffsetMax,
  leadsPageDefault,
  leadsPageMax,
  leadsPerRequestMax,
  queryCharsMax,
} from '../limits.ts'
import { translateBadCursor } from '../schema/cursor.ts'
import { problemResponses } from '../schema/response.ts'
import { readTimeRange, timeDescription } from '../schema/time.ts'
import { idempotencyKey } from './idempotency-key.ts'
import { LeadInput } from './lead-schema.ts'
import { StoredLead, toStoredLead } from './lead-shape.ts'
import { type BulkItem, type LeadDesk, readBulkBody, type Submission } from './lead-submission.ts'
import type { LeadStore } from './ports.ts'

/** What the lead routes need. */
export interface LeadRoutesDeps {
  readonly desk: LeadDesk
  readonly leadStore: LeadStore
  readonly onItems: (accepted: number, rejected: number) => void
}

const keyDescription =
  'Idempotency-Key (header, at most 255 characters) makes a repetition safe: the lead gets the same lead_id, and is stored once.'

const Outcome = Type.Object({ lead_id: Type.String(), outcome: Type.Enum(['stored', 'duplicate']) })
const Durable = Type.Enum([...durabilities], { description: durabilityDescription })
const Taken = Type.Object({ lead_id: Type.String(), status: Type.Enum(['accepted']), durability: Durable })

const Bulk = Type.Object({
  accepted: Type.Integer(),
  rejected: Type.Integer(),
  results: Type.Array(
    Type.Object({
      index: Type.Integer(),
      lead_id: Type.Optional(Type.String()),
      status: Type.Enum(['accepted', 'rejected']),
      errors: Type.Optional(Type.Array(Type.Object({ pointer: Type.String(), detail: Type.String() }))),
    }),
  ),
  durability: Durable,
})

const LeadsQuery = Type.Object(
  {
    page: Type.Optional(Type.Integer({ minimum: 1, description: 'From 1; for deep pages use cursor.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: leadsPageMax, default: leadsPageDefault })),
    status: Type.Optional(Type.Enum(['stored'])),
    email: Type.Optional(Type.String({ minLength: 1, maxLength: leadEmailCharsMax })),
    from: Type.Optional(
      Type.String({ maxLength: queryCharsMax, description: `Received at or after. ${timeDescription}` }),
    ),
    to: Type.Optional(Type.String({ maxLength: queryCharsMax, description: `Received before. ${timeDescription}` })),
    sort: Type.Optional(Type.Enum(['-received_at', 'received_at'], { default: '-received_at' })),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: queryCharsMax,
        description: 'next_cursor of the page before; not together with page.',
      }),
    ),
  },
  { additionalProperties: false },
)

const LeadsPage = Type.Object({
  leads: Type.Array(StoredLead),
  page: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'null when a cursor was used.' }),
  limit: Type.Integer(),
  total: Type.Integer({ description: 'Leads that match; counted up to a bound.' }),
  total_is_exact: Type.Boolean(),
  next_cursor: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
})

const LeadParams = Type.Object({
  lead_id: Type.String({
    pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
    'x-rule': 'must be a UUID',
  }),
})

/** Takes leads in, one by one or many at once, and reads them back for admins. */
export function registerLeadRoutes(app: GatewayApp, deps: LeadRoutesDeps): void {
  registerSubmission(app, deps)
  registerBulk(app, deps)
  registerReading(app, deps)
}

function registerSubmission(app: GatewayApp, { desk, onItems }: LeadRoutesDeps): void {
  const refusals = [
    'INVALID_JSON',
    'INVALID_BODY',
    'UNAUTHENTICATED',
    'FORBIDDEN',
    'BODY_TOO_LARGE',
    'RATE_LIMITED',
    'KAFKA_UNAVAILABLE',
    'OVERLOADED',
  ] as const

  app.route({
    method: 'POST',
    url: '/api/v1/lead/process',
    config: { access: 'leads:write' },
    // The desk checks it, with the rules that a schema has no words for.
    validatorCompiler: () => () => true,
    schema: {
      tags: ['leads'],
      operationId: 'processLead',
      summary: 'Takes a lead and answers what the database made of it',
      description: keyDescription,
      body: LeadInput,
      response: {
        200: Type.Object(Outcome.properties, { description: 'duplicate: the same lead is stored already' }),
        201: Type.Object(Outcome.properties, { description: 'stored' }),
        ...problemResponses(...refusals, 'LEAD_CONFLICT', 'LEAD_REJECTED', 'OUTCOME_PENDING'),
      },
    },
    handler: async (request, reply) => {
      const { leadId, outcome } = await desk.process(request.body, submissionOf(request))
      const status = statusOf(outcome, leadId)
      onItems(1, 0)
      return reply.code(status).send({ lead_id: leadId, outcome: status === 201 ? 'stored' : 'duplicate' })
    },
  })

  app.route({
    method: 'POST',
    url: '/api/v1/lead/process-async',
    config: { access: 'leads:write' },
    validatorCompiler: () => () => true,
    schema: {
      tags: ['leads'],
      operationId: 'processLeadAsync',
      summary: 'Takes a lead and answers when it is safe',
      description: keyDescription,
      body: LeadInput,
      response: { 202: Taken, ...problemResponses(...refusals, 'SPILL_UNAVAILABLE') },
    },
    handler: async (request, reply) => {
      const { taken, durability } = await desk.accept(request.body, submissionOf(request))
      onItems(1, 0)
      return reply.code(202).send({ lead_id: taken, status: 'accepted', durability })
    },
  })
}

function registerBulk(app: GatewayApp, { desk, onItems }: LeadRoutesDeps): void {
  void app.register(async (scope: GatewayApp) => {
    // The body stays bytes until the handler has it: faults of its content belong to single leads here, not to the request.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      'application/json',
      { parseAs: 'buffer' },
      async (request: FastifyRequest, body: Buffer) => {
        takeBytes(request, body)
        return body
      },
    )

    scope.route({
      method: 'POST',
      url: '/api/v1/leads/process-bulk',
      bodyLimit: batchBodyBytesMax,
      config: { access: 'leads:write' },
      validatorCompiler: () => () => true,
      schema: {
        tags: ['leads'],
        operationId: 'processLeads',
        summary: 'Takes many leads and answers for each when they are safe',
        description: `At most ${leadsPerRequestMax} leads in 8 MiB. 202 when all were taken, 207 when some were not. ${keyDescription} In a bulk request it stands for all of its leads in their order.`,
        body: Type.Union([
          Type.Array(LeadInput, { minItems: 1, maxItems: leadsPerRequestMax }),
          Type.Object(
            { leads: Type.Array(LeadInput, { minItems: 1, maxItems: leadsPerRequestMax }) },
            { additionalProperties: false },
          ),
        ]),
        response: {
          202: Bulk,
          207: Bulk,
          ...problemResponses(
            'INVALID_JSON',
            'INVALID_BODY',
            'NO_VALID_ITEM',
            'UNAUTHENTICATED',
            'FORBIDDEN',
            'BODY_TOO_LARGE',
            'RATE_LIMITED',
            'KAFKA_UNAVAILABLE',
            'SPILL_UNAVAILABLE',
            'OVERLOADED',
          ),
        },
      },
      handler: async (request, reply) => {
        const body: unknown = request.body
        const bulk = readBulkBody(readStrictJson(Buffer.isBuffer(body) ? body : Buffer.alloc(0)))
        const { taken: results, durability } = await desk.acceptAll(bulk, submissionOf(request))
        const rejected = results.filter((item) => item.status === 'rejected').length
        const accepted = results.length - rejected
        request.itemsAccepted = accepted
        request.itemsRejected = rejected
        onItems(accepted, rejected)
        if (accepted === 0) throw noValidLead(results)
        const answer = { accepted, rejected, results: results.map(withoutPlace), durability }
        return reply.code(rejected === 0 ? 202 : 207).send(answer)
      },
    })
  })
}

function registerReading(app: GatewayApp, { leadStore }: LeadRoutesDeps): void {
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

function submissionOf(request: FastifyRequest): Submission {
  return {
    submittedBy: principalOf(request).id,
    requestId: request.id,
    receivedAtMs: request.receivedAtMs,
    key: idempotencyKey(request),
  }
}

/** 201 and 200 for what is stored, now or before. Throws the error that the other outcomes are. */
function statusOf({ outcome, reason }: LeadOutcome, lead_id: string): 200 | 201 {
  if (outcome === 'stored') return 201
  if (outcome === 'duplicate') return 200
  const code = outcome === 'conflict' ? 'LEAD_CONFLICT' : 'LEAD_REJECTED'
  const text = reason ?? 'no reason was given'
  throw new GatewayError(code, `The lead is not stored: ${text}.`, { extensions: { lead_id, outcome, reason: text } })
}

function noValidLead(results: readonly BulkItem[]): GatewayError {
  const faults = results.flatMap((item) => (item.status === 'rejected' ? item.errors : []))
  return new GatewayError('NO_VALID_ITEM', 'Not one lead of the body is valid: nothing was taken.', { faults })
}

function withoutPlace(item: BulkItem): BulkItem {
  if (item.status === 'accepted') return item
  return { ...item, errors: item.errors.map(({ pointer, detail }) => ({ pointer, detail })) }
}
