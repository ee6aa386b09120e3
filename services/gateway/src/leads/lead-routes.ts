import type { LeadOutcome } from '@millrace/schemas'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { GatewayError } from '../errors.ts'
import { mediaTypeOf, takeBytes } from '../http/body.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { durabilities, durabilityDescription } from '../kafka/ports.ts'
import { batchBodyBytesMax, leadsPerRequestMax } from '../limits.ts'
import { problemResponses } from '../schema/response.ts'
import { readBulkJson, readBulkLines } from './bulk-body.ts'
import { IdempotencyHeaders, idempotencyKey } from './idempotency-key.ts'
import { BulkLeadInput, exampleLead, LeadInput } from './lead-schema.ts'
import { exampleLeadId } from './lead-shape.ts'
import type { BulkItem, LeadDesk, Submission } from './lead-submission.ts'

/** What the routes that take leads need. */
export interface LeadRoutesDeps {
  readonly desk: LeadDesk
  readonly onItems: (accepted: number, rejected: number) => void
}

const keyDescription =
  'Idempotency-Key (header, at most 255 characters) makes a repetition safe: the lead gets the same lead_id, and is stored once.'

const outcomeShape = Type.Object({
  lead_id: Type.String(),
  outcome: Type.Enum(['stored', 'duplicate']),
  duplicate_of: Type.Optional(
    Type.String({
      description:
        'Of a duplicate: the lead_id of the first lead of this person and source; its own when the same lead was sent again.',
    }),
  ),
})
const StoredNow = Type.Object(outcomeShape.properties, {
  title: 'LeadOutcome',
  description: 'stored',
  examples: [{ lead_id: exampleLeadId, outcome: 'stored' }],
})
const StoredBefore = Type.Object(outcomeShape.properties, {
  title: 'LeadOutcome',
  description:
    'duplicate: the same lead is stored already, or another lead of this person and source, of which this one is kept as a duplicate',
  examples: [{ lead_id: exampleLeadId, outcome: 'duplicate', duplicate_of: exampleLeadId }],
})
const Durable = Type.Enum([...durabilities], { description: durabilityDescription })
const Taken = Type.Object(
  { lead_id: Type.String(), status: Type.Enum(['accepted']), durability: Durable },
  {
    title: 'LeadTaken',
    description: 'The lead is safe, and will be stored.',
    examples: [{ lead_id: exampleLeadId, status: 'accepted', durability: 'kafka' }],
  },
)

const bulkShape = Type.Object({
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

const AllTaken = Type.Object(bulkShape.properties, {
  title: 'LeadsTaken',
  description: 'All leads were taken.',
  examples: [
    {
      accepted: 1,
      rejected: 0,
      results: [{ index: 0, lead_id: exampleLeadId, status: 'accepted' }],
      durability: 'kafka',
    },
  ],
})
const SomeTaken = Type.Object(bulkShape.properties, {
  title: 'LeadsTaken',
  description: 'Some leads were taken, and some not.',
  examples: [
    {
      accepted: 1,
      rejected: 1,
      results: [
        { index: 0, lead_id: exampleLeadId, status: 'accepted' },
        { index: 1, status: 'rejected', errors: [{ pointer: '/1/email', detail: 'is required' }] },
      ],
      durability: 'kafka',
    },
  ],
})

/** Takes leads in, one by one or many at once. */
export function registerLeadRoutes(app: GatewayApp, deps: LeadRoutesDeps): void {
  registerSubmission(app, deps)
  registerBulk(app, deps)
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
      headers: IdempotencyHeaders,
      body: LeadInput,
      response: {
        200: StoredBefore,
        201: StoredNow,
        ...problemResponses(...refusals, 'LEAD_CONFLICT', 'LEAD_REJECTED', 'OUTCOME_PENDING'),
      },
    },
    handler: async (request, reply) => {
      const { leadId, outcome } = await desk.process(request.body, submissionOf(request))
      const status = statusOf(outcome, leadId)
      onItems(1, 0)
      if (status === 201) return reply.code(201).send({ lead_id: leadId, outcome: 'stored' })
      return reply
        .code(200)
        .send({ lead_id: leadId, outcome: 'duplicate', duplicate_of: outcome.duplicate_of ?? leadId })
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
      headers: IdempotencyHeaders,
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

const bulkMediaTypes = ['application/json', 'application/x-ndjson'] as const

const bulkArray = Type.Array(BulkLeadInput, { minItems: 1, maxItems: leadsPerRequestMax })

/** The forms in which a bulk request comes, for the API's document. */
const BulkBodies = {
  'application/json': {
    schema: Type.Union([bulkArray, Type.Object({ leads: bulkArray }, { additionalProperties: false })], {
      examples: [[exampleLead], { leads: [{ ...exampleLead, idempotency_key: 'order-4711' }] }],
    }),
  },
  'application/x-ndjson': {
    schema: Type.String({
      description: 'One lead per line.',
      examples: [`${JSON.stringify(exampleLead)}\n${JSON.stringify(exampleLead)}\n`],
    }),
  },
}

function registerBulk(app: GatewayApp, { desk, onItems }: LeadRoutesDeps): void {
  void app.register(async (scope: GatewayApp) => {
    // The body stays bytes until the handler has it: faults of its content belong to single leads here, not to the request.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      [...bulkMediaTypes],
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
        description: `At most ${leadsPerRequestMax} leads in 8 MiB. 202 when all were taken, 207 when some were not. ${keyDescription} In a bulk request it stands for all of its leads in their order; a lead may have an idempotency_key of its own.`,
        headers: IdempotencyHeaders,
        body: { content: BulkBodies },
        response: {
          202: AllTaken,
          207: SomeTaken,
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
        const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
        const bulk = mediaTypeOf(request).startsWith('application/x-ndjson')
          ? readBulkLines(bytes)
          : readBulkJson(bytes)
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
