import { createHash } from 'node:crypto'
import swagger from '@fastify/swagger'
import scalar from '@scalar/fastify-api-reference'
import type { FastifyReply } from 'fastify'
import type { ApiDocument } from './api-document.ts'
import { completeDocument } from './document-completion.ts'
import type { GatewayApp } from './gateway-app.ts'
import type { RouteFacts } from './route-answers.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The API's document; complete once the application is ready. */
    apiDocument: () => ApiDocument
  }
}

const tags = [
  { name: 'accounts', description: 'Who you are, and the token that says so' },
  { name: 'events', description: 'Events in, and events read back' },
  { name: 'stats', description: 'Counts and averages per event type and window' },
  { name: 'leads', description: 'Leads in, and leads read back' },
  { name: 'operations', description: 'Who is behind, what could not be stored, and whether everything has arrived' },
  { name: 'health', description: 'For probes and dashboards' },
]

const documents = [
  { documentUrl: '/openapi.json', routePrefix: '/docs' },
  { documentUrl: '/api/v1/openapi.json', routePrefix: '/api/v1/docs' },
] as const

/** Collects the routes for the API's document. Must be registered before them. */
export async function registerOpenApi(app: GatewayApp, version: string): Promise<void> {
  const routes: RouteFacts[] = []
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      // Read later: hooks of the scope in which a route stands may still add to its settings.
      routes.push({
        method,
        url: route.url,
        get config() {
          return route.config ?? {}
        },
        get schema() {
          return route.schema ?? {}
        },
      })
    }
  })
  let document: ApiDocument | undefined
  app.decorate('apiDocument', () => {
    document ??= completeDocument(JSON.parse(JSON.stringify(app.swagger())), routes)
    return document
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Millrace',
        version,
        description:
          'Takes events and leads in, writes them to Kafka, and reads them and their statistics back. Every error is application/problem+json. `/events`, `/stats` and `/stats/stream` answer at the root too.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags,
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'An access token, or an API key.',
          },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        },
      },
      security: [{ bearer: [] }, { apiKey: [] }],
    },
  })
}

/** Serves the document at `/openapi.json` and its page at `/docs`, both also under the API's prefix. Everything comes from this service, nothing from a CDN. */
export async function registerDocs(app: GatewayApp): Promise<void> {
  for (const { documentUrl, routePrefix } of documents) {
    app.route({
      method: 'GET',
      url: documentUrl,
      config: { access: 'public', logged: false },
      schema: { hide: true },
      handler: async (_request, reply) => reply.type('application/json; charset=utf-8').send(app.apiDocument()),
    })
    await app.register(async (scope: GatewayApp) => {
      // The page's routes are the plugin's: the scope says what it does not.
      scope.addHook('onRoute', (route) => {
        route.config = { ...route.config, access: 'public', logged: false }
      })
      const page = `${routePrefix}/`
      let policy = ''
      scope.addHook('onSend', async (request, reply, payload) => {
        if (request.url === page && typeof payload === 'string') {
          if (policy === '') policy = pagePolicy(payload)
          reply.header('content-security-policy', policy)
        } else cacheScript(request.url, reply)
        return payload
      })
      await scope.register(scalar, {
        routePrefix,
        configuration: {
          url: '/openapi.json',
          title: 'Millrace API',
          withDefaultFonts: false,
          hideClientButton: true,
          telemetry: false,
          // Offers of the page's maker that lead away from this service.
          showDeveloperTools: 'never',
          agent: { disabled: true },
          mcp: { disabled: true },
        },
      })
    })
  }
}

/**
 * The page starts with one inline script, which is the same on every request: its hash lets it run without letting others. Styles are
 * written by the page's own script, element by element.
 */
function pagePolicy(html: string): string {
  const scripts = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(([, text = '']) => text)
  const hashes = scripts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
  return [
    "default-src 'none'",
    `script-src 'self' ${hashes.join(' ')}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

/** The page's script has 4 MB and changes only with the version. */
function cacheScript(url: string, reply: FastifyReply): void {
  if (url.endsWith('.js') && reply.statusCode === 200) reply.header('cache-control', 'public, max-age=3600')
}
