import { randomUUID } from 'node:crypto'
import { leadSourcesMax } from '@millrace/storage/mysql'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { GatewayError } from '../errors.ts'
import { requiredVersions, versionTag } from '../http/entity-tag.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { invalidBody } from '../http/validation.ts'
import { leadTextCharsMax, queryCharsMax } from '../limits.ts'
import { problemResponses } from '../schema/response.ts'
import {
  definitionFaults,
  FieldDefinition,
  type LeadFieldsChange as LeadFieldsBody,
  LeadFieldsChange,
  LeadFieldsInput,
} from './field-definition.ts'
import type { KeptLeadFields, LeadFieldStore, LeadFieldsOutcome } from './ports.ts'

/** What the routes of definitions need. */
export interface FieldRoutesDeps {
  readonly store: LeadFieldStore
  /** Called when something was changed: the gateway that was told knows it before it answers. */
  readonly onChange: () => Promise<void>
}

const exampleSourceId = '0190c5a4-5c1e-4d3a-9f6b-2f6f0e6a7b22'
const exampleLeadFields = {
  id: exampleSourceId,
  source: 'web',
  version: 1,
  undefined_attributes: 'refuse',
  fields: [
    { name: 'budget', type: 'integer', required: true, min: 0 },
    { name: 'plan', type: 'enum', values: ['free', 'pro'] },
  ],
  changed_at: '2025-11-24T16:00:00.000Z',
}

const leadFieldsMembers = {
  id: Type.String(),
  source: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
  version: Type.Integer({ description: 'One more with every change; also the ETag.' }),
  undefined_attributes: Type.Enum(['keep', 'refuse']),
  fields: Type.Array(FieldDefinition),
  changed_at: Type.String({ description: 'ISO 8601.' }),
}
const LeadFieldsAnswer = Type.Object(leadFieldsMembers, {
  title: 'LeadFields',
  description: 'The definitions of a source.',
  examples: [exampleLeadFields],
})
const LeadFieldsList = Type.Object(
  { sources: Type.Array(Type.Object(leadFieldsMembers)) },
  {
    title: 'LeadFieldsList',
    description: 'The definitions of all sources, or of the one that was asked for.',
    examples: [{ sources: [exampleLeadFields] }],
  },
)

const ListQuery = Type.Object(
  {
    source: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: leadTextCharsMax,
        description: 'Of this source only.',
        examples: ['web'],
      }),
    ),
  },
  { additionalProperties: false },
)
const SourceParams = Type.Object({
  id: Type.String({
    pattern: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
    'x-rule': 'must be a UUID',
    examples: [exampleSourceId],
  }),
})
const IfMatchHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      maxLength: queryCharsMax,
      description: 'Required: the ETag of the version that is to be changed, or *.',
      examples: ['"1"'],
    }),
  ),
})

const noBody = (description: string) => Type.Unsafe<undefined>({ type: 'null', description })

/** Definitions of lead fields: read, made, changed and deleted, one source at a time. */
export function registerFieldRoutes(app: GatewayApp, deps: FieldRoutesDeps): void {
  registerReading(app, deps)
  registerChanges(app, deps)
}

function registerReading(app: GatewayApp, { store }: FieldRoutesDeps): void {
  app.route({
    method: 'GET',
    url: '/api/v1/lead-fields',
    config: { access: 'lead-fields:read' },
    schema: {
      tags: ['leads'],
      operationId: 'listLeadFields',
      summary: 'The definitions of lead fields, per source',
      querystring: ListQuery,
      response: {
        200: LeadFieldsList,
        ...problemResponses('INVALID_PARAMETER', 'UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED', 'STORE_UNAVAILABLE'),
      },
    },
    handler: async ({ query }, reply) => {
      const { sources } = await store.readAll()
      const wanted = query.source === undefined ? sources : sources.filter(({ source }) => source === query.source)
      return sendJson(reply, `{"sources":[${wanted.map(textOf).join(',')}]}`)
    },
  })

  app.route({
    method: 'GET',
    url: '/api/v1/lead-fields/:id',
    config: { access: 'lead-fields:read' },
    schema: {
      tags: ['leads'],
      operationId: 'getLeadFields',
      summary: 'The definitions of one source',
      params: SourceParams,
      response: {
        200: LeadFieldsAnswer,
        ...problemResponses(
          'INVALID_PARAMETER',
          'UNAUTHENTICATED',
          'FORBIDDEN',
          'LEAD_FIELDS_NOT_FOUND',
          'RATE_LIMITED',
          'STORE_UNAVAILABLE',
        ),
      },
    },
    handler: async ({ params }, reply) => {
      const stored = await store.byId(params.id.toLowerCase())
      if (stored === undefined) throw notFound()
      return sendStored(reply, stored)
    },
  })
}

function registerChanges(app: GatewayApp, { store, onChange }: FieldRoutesDeps): void {
  const refusals = ['UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED', 'STORE_UNAVAILABLE'] as const

  app.route({
    method: 'POST',
    url: '/api/v1/lead-fields',
    config: { access: 'lead-fields:write' },
    schema: {
      tags: ['leads'],
      operationId: 'createLeadFields',
      summary: 'Defines the fields of the leads of a source',
      body: LeadFieldsInput,
      response: {
        201: LeadFieldsAnswer,
        ...problemResponses('INVALID_JSON', 'INVALID_BODY', ...refusals, 'LEAD_FIELDS_EXIST', 'LEAD_FIELDS_FULL'),
      },
    },
    handler: async (request, reply) => {
      const { source, ...body } = request.body
      const created = { id: randomUUID(), source, ...contentOf(body) }
      const stored = await settle(await store.create(created, changerOf(request)))
      return sendStored(reply.code(201).header('location', `/api/v1/lead-fields/${stored.id}`), stored)
    },
  })

  app.route({
    method: 'PUT',
    url: '/api/v1/lead-fields/:id',
    config: { access: 'lead-fields:write' },
    schema: {
      tags: ['leads'],
      operationId: 'replaceLeadFields',
      summary: 'Replaces the definitions of a source',
      description: 'Leads that are stored keep their attributes as they are.',
      params: SourceParams,
      headers: IfMatchHeaders,
      body: LeadFieldsChange,
      response: {
        200: LeadFieldsAnswer,
        ...problemResponses(
          'INVALID_JSON',
          'INVALID_BODY',
          ...refusals,
          'LEAD_FIELDS_NOT_FOUND',
          'PRECONDITION_FAILED',
          'PRECONDITION_REQUIRED',
        ),
      },
    },
    handler: async (request, reply) => {
      const versions = requiredVersions(request.headers['if-match'])
      const id = request.params.id.toLowerCase()
      const outcome = await store.replace(id, contentOf(request.body), { ...changerOf(request), versions })
      return sendStored(reply, await settle(outcome))
    },
  })

  app.route({
    method: 'DELETE',
    url: '/api/v1/lead-fields/:id',
    config: { access: 'lead-fields:write' },
    schema: {
      tags: ['leads'],
      operationId: 'deleteLeadFields',
      summary: 'Deletes the definitions of a source',
      description: 'Leads that are stored keep their attributes as they are; new ones may have any.',
      params: SourceParams,
      headers: IfMatchHeaders,
      response: {
        204: noBody('The source has no definitions any more.'),
        ...problemResponses(
          'INVALID_PARAMETER',
          ...refusals,
          'LEAD_FIELDS_NOT_FOUND',
          'PRECONDITION_FAILED',
          'PRECONDITION_REQUIRED',
        ),
      },
    },
    handler: async (request, reply) => {
      const versions = requiredVersions(request.headers['if-match'])
      await settle(await store.remove(request.params.id.toLowerCase(), { ...changerOf(request), versions }))
      return reply.code(204).send(undefined)
    },
  })

  /** What was changed, once this gateway goes by it. Throws the error that another outcome is. */
  async function settle(outcome: LeadFieldsOutcome): Promise<KeptLeadFields> {
    if (outcome.outcome !== 'done') throw refusalOf(outcome)
    await onChange()
    return outcome.stored
  }
}

/** Throws `INVALID_BODY` with every fault that a schema has no words for. */
function contentOf({ undefined_attributes: undefinedAttributes = 'keep', fields }: LeadFieldsBody) {
  const faults = definitionFaults(fields, '/fields')
  if (faults.length > 0) throw invalidBody(faults)
  return { undefinedAttributes, fields: JSON.stringify(fields) }
}

function changerOf(request: FastifyRequest) {
  return { actor: principalOf(request).id, requestId: request.id }
}

function refusalOf(outcome: Exclude<LeadFieldsOutcome, { outcome: 'done' }>): GatewayError {
  switch (outcome.outcome) {
    case 'exists': {
      const detail = 'The source has definitions already: change them with PUT.'
      return new GatewayError('LEAD_FIELDS_EXIST', detail, { extensions: { id: outcome.id } })
    }
    case 'full': {
      const detail = `At most ${leadSourcesMax} sources can have definitions: delete those of another one first.`
      return new GatewayError('LEAD_FIELDS_FULL', detail)
    }
    case 'missing':
      return notFound()
    case 'changed': {
      const detail = 'The definitions have another version now: read them again, and decide anew.'
      return new GatewayError('PRECONDITION_FAILED', detail, { headers: { etag: versionTag(outcome.version) } })
    }
  }
}

function notFound(): GatewayError {
  return new GatewayError('LEAD_FIELDS_NOT_FOUND', 'There are no definitions with this id.')
}

function sendStored(reply: FastifyReply, stored: KeptLeadFields): FastifyReply {
  return sendJson(reply.header('etag', versionTag(stored.version)), textOf(stored))
}

function sendJson(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(text)
}

/** The fields go out as they came in: they are JSON already. */
function textOf({ id, source, version, undefinedAttributes, fields, changedAt }: KeptLeadFields): string {
  const start = JSON.stringify({ id, source, version, undefined_attributes: undefinedAttributes })
  return `${start.slice(0, -1)},"fields":${fields},"changed_at":${JSON.stringify(changedAt.toISOString())}}`
}
