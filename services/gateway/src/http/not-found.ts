import type { FastifyRequest } from 'fastify'
import { GatewayError } from '../errors.ts'
import type { GatewayApp } from './gateway-app.ts'
import { sendProblem } from './problem.ts'

interface KnownRoute {
  readonly url: string
  readonly path: RegExp
  readonly method: string
  /** How many segments are parameters. */
  readonly parameters: number
}

/** Tells an unknown address (404) from an address that does not know the method (405, with `Allow`). Must be registered before any route. */
export function registerNotFound(app: GatewayApp): void {
  const known: KnownRoute[] = []
  app.addHook('onRoute', ({ url, method }) => {
    const [path, parameters] = [pathPattern(url), parametersOf(url)]
    for (const name of [method].flat()) known.push({ url, path, method: name, parameters })
  })
  // Before the body is looked at: a body of an unknown type, or without one, is not what is wrong with such a request.
  app.addHook('onRequest', (request, _reply, done) => {
    done(request.is404 || isMistaken(known, request) ? notFound(known, request) : undefined)
  })
  app.setNotFoundHandler((request, reply) => {
    sendProblem(notFound(known, request), request, reply)
  })
}

/** `GET /leads/process-bulk` finds `GET /leads/:lead_id`: the router looks among the routes of one method. */
function isMistaken(known: readonly KnownRoute[], request: FastifyRequest): boolean {
  const parameters = parametersOf(request.routeOptions.url ?? '')
  if (parameters === 0) return false
  const path = pathOf(request)
  return known.some((route) => route.parameters < parameters && route.path.test(path))
}

function notFound(known: readonly KnownRoute[], request: FastifyRequest): GatewayError {
  const path = pathOf(request)
  const matching = known.filter((route) => route.path.test(path))
  // A word that is written out is not meant by the parameter of another route.
  const fewest = Math.min(...matching.map(({ parameters }) => parameters))
  const methods = new Set(matching.filter(({ parameters }) => parameters === fewest).map((route) => route.method))
  if (methods.size === 0 || methods.has(request.method)) {
    return new GatewayError('ROUTE_NOT_FOUND', 'There is nothing at this address: /docs lists what there is.')
  }
  const allow = [...methods].sort().join(', ')
  return new GatewayError('METHOD_NOT_ALLOWED', `This address knows ${allow}.`, { headers: { allow } })
}

function parametersOf(url: string): number {
  return url.split('/:').length - 1
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}

/** `/leads/:id` matches one segment; a wildcard, used for files, matches nothing here: a missing file is simply not found. */
function pathPattern(url: string): RegExp {
  const escaped = url.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z_]+/g, '[^/]+')
  return new RegExp(`^${escaped.replace('*', '(?!)')}$`)
}
