import { statsIntervalNames } from '@millrace/schemas'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { type Fault, GatewayError } from '../errors.ts'
import { eventTypePattern } from '../events/event-schema.ts'
import { AnswerCache } from '../http/answer-cache.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { invalidParameter } from '../http/validation.ts'
import {
  accessRefreshMs,
  eventTypeCharsMax,
  statsAnswersCharsMax,
  statsHeartbeatMs,
  statsLimitDefault,
  statsLimitMax,
  timeMaxMs,
  timerMsMax,
} from '../limits.ts'
import { problemResponses } from '../schema/response.ts'
import { readTimeRange, timeParameter } from '../schema/time.ts'
import type { StatsHub } from './stats-hub.ts'
import type { StatsReader } from './stats-reader.ts'
import { StatsStream } from './stats-stream.ts'
import { exampleWindow, StatsWindow, toStatsWindow } from './window-shape.ts'

/** What the stats routes need. */
export interface StatsRoutesDeps {
  readonly stats: StatsReader
  readonly hub: StatsHub
  /** Whether updates are followed already. */
  readonly isFollowing: () => boolean
  readonly nowMs: () => number
}

const eventType = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: eventTypeCharsMax,
    pattern: eventTypePattern,
    'x-rule': 'must be an event type',
    examples: ['purchase'],
  }),
)
const timeInterval = Type.Enum([...statsIntervalNames])

const StatsQuery = Type.Object(
  {
    event_type: eventType,
    time_interval: Type.Optional(
      Type.Enum([...statsIntervalNames], {
        default: '1m',
        description: 'The length of a window.',
        examples: ['1m'],
      }),
    ),
    from: Type.Optional(timeParameter('Windows that start at or after; without it, the newest.', '2025-11-24')),
    to: Type.Optional(timeParameter('Windows that start before.', '1764086400')),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: statsLimitMax, default: statsLimitDefault, examples: [100] }),
    ),
  },
  { additionalProperties: false },
)

const StatsAnswer = Type.Object(
  {
    event_type: Type.Unsafe<string | null>({ type: ['string', 'null'] }),
    time_interval: timeInterval,
    from: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'As asked, UNIX milliseconds.' }),
    to: Type.Unsafe<number | null>({ type: ['integer', 'null'] }),
    windows: Type.Array(StatsWindow, { description: 'Oldest first, then by event type.' }),
    truncated: Type.Boolean({ description: 'The range holds more windows than `limit`.' }),
    source: Type.Enum(['memory', 'store']),
  },
  {
    title: 'Stats',
    description: 'The windows of the range.',
    examples: [
      {
        event_type: 'purchase',
        time_interval: '1m',
        from: null,
        to: null,
        windows: [exampleWindow],
        truncated: false,
        source: 'memory',
      },
    ],
  },
)

const exampleStream = [
  'event: ready\ndata: {}\n\n',
  `id: 17.4.0.9\nevent: stats\ndata: ${JSON.stringify({ time_interval: '1m', ...exampleWindow })}\n\n`,
].join('')

/** Not of JSON, so it says itself what it is. */
const StreamAnswer: object = {
  description: 'The stream, which goes on until one of both ends it.',
  content: {
    // Without a type: some readers hold it to the whole text, and others to each event.
    'text/event-stream': {
      schema: { description: 'Server-sent events: `id`, `event` and, as JSON, `data`.', examples: [exampleStream] },
    },
  },
}

const StreamQuery = Type.Object(
  {
    event_type: eventType,
    time_interval: Type.Optional(Type.Enum([...statsIntervalNames], { examples: ['1m'] })),
  },
  { additionalProperties: false },
)

const StreamHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      description: 'The last `id` that was read before the connection broke: the stream goes on behind it.',
      examples: ['17.4.0.9'],
    }),
  ),
})

/** Statistics, asked for and streamed. Registered once under the API's prefix, and once at the root, where `documented` is false. */
export function registerStatsRoutes(app: GatewayApp, deps: StatsRoutesDeps & { readonly documented: boolean }): void {
  const hide = !deps.documented
  // As bytes: encoding a text of 12 KiB anew for each request was a sixth of its CPU.
  const answers = new AnswerCache<Buffer>(statsAnswersCharsMax)

  app.route({
    method: 'GET',
    url: '/stats',
    config: { access: 'stats:read' },
    schema: {
      hide,
      tags: ['stats'],
      ...(hide ? {} : { operationId: 'getStats' }),
      summary: 'Counts and averages per event type and window',
      description:
        'Up to the last record of the topic `stats`. With `from`: the oldest windows from there on; without it: the newest ones.',
      querystring: StatsQuery,
      response: {
        200: StatsAnswer,
        ...problemResponses('STORE_UNAVAILABLE'),
      },
    },
    handler: async (request, reply) => {
      const { query, url: question } = request
      const version = deps.stats.version()
      const known = answers.get(question, version)
      if (known !== undefined) return sendJson(reply, known)
      const faults: Fault[] = []
      const { fromMs, toMs } = readTimeRange(query, faults)
      if (faults.length > 0) throw invalidParameter(faults)
      const interval = query.time_interval ?? '1m'
      const answer = await deps.stats.read({
        eventType: query.event_type,
        interval,
        fromMs: fromMs ?? 0,
        toMs: toMs ?? timeMaxMs,
        limit: query.limit ?? statsLimitDefault,
        keep: fromMs === undefined ? 'newest' : 'oldest',
        signal: request.signal,
      })
      const bytes = bytesOf(
        JSON.stringify({
          event_type: query.event_type ?? null,
          time_interval: interval,
          from: fromMs ?? null,
          to: toMs ?? null,
          windows: answer.windows.map(toStatsWindow),
          truncated: answer.truncated,
          source: answer.source,
        }),
      )
      if (answer.source === 'memory') answers.set(question, version, { answer: bytes, chars: bytes.length })
      return sendJson(reply, bytes)
    },
  })

  app.route({
    method: 'GET',
    url: '/stats/stream',
    exposeHeadRoute: false,
    config: { access: 'stats:read' },
    schema: {
      hide,
      tags: ['stats'],
      ...(hide ? {} : { operationId: 'streamStats' }),
      summary: 'Updates of windows as server-sent events',
      description:
        'Events: `ready` (connected), `stats` (one window, with time_interval), `reset` (updates were missed: ask GET /stats again). Send Last-Event-ID to go on after a break. Ends when the token ends, or its session or key. EventSource cannot send a token: use fetch and read the body as it comes.',
      querystring: StreamQuery,
      headers: StreamHeaders,
      response: { 200: StreamAnswer, ...problemResponses('NOT_READY') },
    },
    handler: (request, reply) => {
      if (!deps.isFollowing())
        throw new GatewayError('NOT_READY', 'The statistics are still being read: try again in a moment.')
      const stream = new StatsStream()
      const { event_type, time_interval } = request.query
      const lastEventId = request.headers['last-event-id']
      const filter = { eventType: event_type, interval: time_interval }
      const leave = deps.hub.subscribe(filter, stream, typeof lastEventId === 'string' ? lastEventId : undefined)
      const principal = principalOf(request)
      const lifeMs = Math.min(timerMsMax, principal.expiresAt * 1_000 - deps.nowMs())
      const ending = setTimeout(() => stream.end(), Math.max(0, lifeMs))
      const endUnlessLive = async () => {
        if (!(await app.credentials.isLive(principal))) stream.end()
      }
      const watching = setInterval(() => void endUnlessLive(), accessRefreshMs)
      stream.once('close', () => {
        clearTimeout(ending)
        clearInterval(watching)
        leave()
      })
      // The first line tells proxies of nginx's kind not to collect the events.
      reply.header('x-accel-buffering', 'no').header('cache-control', 'no-store')
      return reply.type('text/event-stream; charset=utf-8').send(stream)
    },
  })
}

function sendJson(reply: FastifyReply, bytes: Buffer): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(bytes)
}

/** Keeps quiet streams alive, and ends all of them when the service closes: otherwise it would wait for clients that never go. */
export function registerStatsStreams(app: GatewayApp, hub: StatsHub): void {
  let timer: NodeJS.Timeout | undefined
  app.addHook('onReady', async () => {
    timer = setInterval(() => hub.heartbeat(), statsHeartbeatMs)
    timer.unref()
  })
  app.addHook('preClose', async () => {
    clearInterval(timer)
    hub.close()
  })
}

/** In a buffer of its own: one out of Node's pool would keep 8 KiB of it as long as the answer is known. */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text))
  bytes.write(text)
  return bytes
}
