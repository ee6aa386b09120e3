import type { FastifyRequest } from 'fastify'
import { GatewayError } from '../errors.ts'
import { readStrictJson } from '../json/strict-json.ts'
import type { GatewayApp } from './gateway-app.ts'

/** Takes JSON bodies, and nothing else, without changing anything of them in silence. Routes with other types say so in a scope of their own. */
export function registerBodies(app: GatewayApp): void {
  app.decorateRequest('bodyBytes', 0)
  app.decorateRequest('bodyFaults', null)
  app.addHook('preParsing', async (request) => {
    const encoding = request.headers['content-encoding']
    if (encoding === undefined || encoding === 'identity') return
    const detail = 'Compressed bodies are not supported: send the body without Content-Encoding.'
    throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', detail, { headers: { 'accept-encoding': 'identity' } })
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    takeBytes(request, body)
    // Clients send the type even where there is nothing to send; a route that needs a body says so.
    if (body.length === 0) return undefined
    const { value, faults } = readStrictJson(body)
    if (faults.length > 0) request.bodyFaults = faults
    return value
  })
}

/** Notes the body's size and refuses a charset other than UTF-8: JSON has no other. */
export function takeBytes(request: FastifyRequest, body: Buffer): void {
  request.bodyBytes = body.length
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1]
  if (charset === undefined || /^utf-?8$/i.test(charset)) return
  throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'The body must be UTF-8.')
}
