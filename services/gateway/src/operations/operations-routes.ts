import { Type } from 'typebox'
import type { AuditLog } from '../accounts/ports.ts'
import { GatewayError } from '../errors.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import {
  letterOffsetMax,
  letterReasonCharsMax,
  letterShownBytesMax,
  lettersListMax,
  lettersReplayMax,
} from '../limits.ts'
import { problemResponses } from '../schema/response.ts'
import type { OperationsDesk } from './ports.ts'
import { Lags, Letter, LetterList, Reconciled, Replayed, toLags, toLetter, toReconciled } from './shapes.ts'

/** What the routes for operators need. */
export interface OperationsRoutesDeps {
  readonly desk: OperationsDesk
  readonly audit: AuditLog
  readonly nowMs: () => number
}

/** Topics whose records are about people: erasing a person must not miss a copy that somebody has read. */
const personal: ReadonlySet<string> = new Set(['leads'])

/** What operators ask: who is behind, what could not be stored, and whether everything has arrived. */
export function registerOperationsRoutes(app: GatewayApp, deps: OperationsRoutesDeps): void {
  registerLag(app, deps)
  registerReconciliation(app, deps)
  registerLetters(app, deps)
  registerReplay(app, deps)
}

function registerLag(app: GatewayApp, { desk, nowMs }: OperationsRoutesDeps): void {
  app.route({
    method: 'GET',
    url: '/api/v1/ops/lag',
    config: { access: 'ops:read' },
    schema: {
      tags: ['operations'],
      operationId: 'getLag',
      summary: 'How far the processor and the sinks are behind',
      response: { 200: Lags, ...problemResponses('KAFKA_UNAVAILABLE', 'STORE_UNAVAILABLE') },
    },
    handler: async () => toLags(await desk.lags(), nowMs()),
  })
}

function registerReconciliation(app: GatewayApp, { desk }: OperationsRoutesDeps): void {
  app.route({
    method: 'GET',
    url: '/api/v1/ops/reconciliation',
    config: { access: 'ops:read' },
    schema: {
      tags: ['operations'],
      operationId: 'getReconciliation',
      summary: 'Whether everything of the last hour has arrived',
      description:
        'Compares what was acknowledged, what is in Kafka, and what is processed and stored, minute by minute. Takes up to a minute; what is less than half a minute old is answered again.',
      response: {
        200: Reconciled,
        ...problemResponses('INVALID_PARAMETER', 'KAFKA_UNAVAILABLE', 'STORE_UNAVAILABLE'),
      },
    },
    handler: async () => toReconciled(await desk.reconciliation()),
  })
}

function registerLetters(app: GatewayApp, { desk }: OperationsRoutesDeps): void {
  const topic = topicOf(desk)

  app.route({
    method: 'GET',
    url: '/api/v1/ops/dead-letters/:topic',
    config: { access: 'ops:read' },
    schema: {
      tags: ['operations'],
      operationId: 'getDeadLetters',
      summary: 'Records of a topic that could not be stored or processed',
      params: Type.Object({ topic }),
      querystring: Type.Object(
        {
          state: Type.Optional(
            Type.Enum(['waiting', 'all'], {
              default: 'waiting',
              description: 'Those that wait, or also those that were put back.',
              examples: ['waiting'],
            }),
          ),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: lettersListMax, default: 100, examples: [100] })),
        },
        { additionalProperties: false },
      ),
      response: {
        200: LetterList,
        ...problemResponses('INVALID_PARAMETER', 'DEAD_LETTERS_TOO_MANY', 'KAFKA_UNAVAILABLE'),
      },
    },
    handler: async (request) => {
      const { state = 'waiting', limit = 100 } = request.query
      const { letters, open, replayed } = await desk.letters(request.params.topic)
      const chosen = letters.filter(({ offset }) => state === 'all' || open.has(offset)).reverse()
      return {
        waiting: open.size,
        replayed,
        letters: chosen.slice(0, limit).map((letter) => ({
          ...toLetter(letter),
          state: open.has(letter.offset) ? ('waiting' as const) : ('done' as const),
        })),
        truncated: chosen.length > limit,
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/api/v1/ops/dead-letters/:topic/:offset',
    config: { access: 'ops:read' },
    schema: {
      tags: ['operations'],
      operationId: 'getDeadLetter',
      summary: 'A dead letter with what it holds; those of leads without',
      params: Type.Object({
        topic,
        offset: Type.Integer({ minimum: 0, maximum: letterOffsetMax, examples: [17] }),
      }),
      response: {
        200: Letter,
        ...problemResponses('INVALID_PARAMETER', 'DEAD_LETTER_NOT_FOUND', 'KAFKA_UNAVAILABLE'),
      },
    },
    handler: async (request, reply) => {
      const { topic: from, offset } = request.params
      const letter = await desk.letter(from, offset)
      if (letter === undefined) throw new GatewayError('DEAD_LETTER_NOT_FOUND', 'No dead letter has this offset.')
      const isWithheld = personal.has(from)
      return reply.header('cache-control', 'no-store').send({
        ...toLetter(letter),
        is_withheld: isWithheld,
        key: isWithheld ? null : toContent(letter.key),
        value: isWithheld ? null : toContent(letter.value),
      })
    },
  })
}

function registerReplay(app: GatewayApp, { desk, audit }: OperationsRoutesDeps): void {
  app.route({
    method: 'POST',
    url: '/api/v1/ops/dead-letters/:topic/replay',
    config: { access: 'ops:write' },
    schema: {
      tags: ['operations'],
      operationId: 'replayDeadLetters',
      summary: 'Puts dead letters back where their records came from',
      description:
        'Each record once, however often this is asked: asked again after an answer was lost, it puts back what is left. Without `offsets` and `reason`, all that wait.',
      params: Type.Object({ topic: topicOf(desk) }),
      body: Type.Object(
        {
          offsets: Type.Optional(
            Type.Array(Type.Integer({ minimum: 0, maximum: letterOffsetMax }), {
              minItems: 1,
              maxItems: lettersReplayMax,
              uniqueItems: true,
              description: 'Of the letters.',
            }),
          ),
          reason: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: letterReasonCharsMax,
              description: 'Only those that failed for it.',
            }),
          ),
        },
        { additionalProperties: false, examples: [{ reason: 'UNKNOWN_SCHEMA' }, { offsets: [17, 18] }] },
      ),
      response: {
        200: Replayed,
        ...problemResponses('INVALID_PARAMETER', 'INVALID_BODY', 'KAFKA_UNAVAILABLE', 'STORE_UNAVAILABLE'),
      },
    },
    handler: async (request) => {
      const { topic } = request.params
      const { offsets = [], reason } = request.body
      const entry = { actor: principalOf(request).id, subject: topic, requestId: request.id }
      // Noted before, so that nothing is put back that nobody has asked for.
      await audit.append({ ...entry, action: 'dead_letters_replayed', detail: offsets.length === 0 ? 'all' : 'chosen' })
      const { replayed, omitted } = await desk.replay(topic, { offsets, reason })
      return { replayed, omitted: [...omitted] }
    },
  })
}

function topicOf({ letterTopics }: OperationsDesk) {
  return Type.Enum([...letterTopics], { description: 'Where the records are from.', examples: ['events'] })
}

function toContent(bytes: Buffer | null) {
  if (bytes === null) return null
  return { bytes: bytes.length, base64: bytes.subarray(0, letterShownBytesMax).toString('base64') }
}
