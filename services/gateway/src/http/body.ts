import type { FastifyRequest } from 'fastify'
import { GatewayError } from '../errors.ts'
import { JsonCursor } from '../json/json-cursor.ts'
import { readStrictJson } from '../json/strict-json.ts'
import type { GatewayApp } from './gateway-app.ts'
import { contentEncoding, contentEncodings, InflatedBody } from './inflated-body.ts'

/**
 * Takes JSON bodies, compressed or not, and nothing else, without changing anything of them in silence. Routes with other types say so in a scope
 * of their own.
 */
export function registerBodies(app: GatewayApp): void {
  app.decorateRequest('bodyBytes', 0)
  app.decorateRequest('bodyFaults', null)
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const header = request.headers['content-encoding']
    if (header === undefined || header === 'identity') return done(null, payload)
    const encoding = contentEncoding(header)
    if (encoding !== undefined) {
      return done(null, new InflatedBody(payload, encoding, request.routeOptions.bodyLimit))
    }
    const accepted = [...contentEncodings, 'identity'].join(', ')
    const detail = `The body may be compressed with one of ${contentEncodings.join(', ')}, or not at all.`
    done(new GatewayError('UNSUPPORTED_MEDIA_TYPE', detail, { headers: { 'accept-encoding': accepted } }))
  })
  const cursor = new JsonCursor()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request: FastifyRequest, body: Buffer, done) => {
    try {
      done(null, parseJson(cursor, request, body))
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  })
}

function parseJson(cursor: JsonCursor, request: FastifyRequest, body: Buffer): unknown {
  takeBytes(request, body)
  // Clients send the type even where there is nothing to send; a route that needs a body says so.
  if (body.length === 0) return undefined
  const { value, faults } = readStrictJson(body, cursor)
  if (faults.length > 0) request.bodyFaults = faults
  return value
}

/** The media type of the body, and its parameters, in lower case; empty when the request does not say. */
export function mediaTypeOf(request: FastifyRequest): string {
  return request.headers['content-type']?.toLowerCase() ?? ''
}

/** Notes the body's size, decompressed, and refuses a charset other than UTF-8: JSON has no other. */
export function takeBytes(request: FastifyRequest, body: Buffer): void {
  request.bodyBytes = body.length
  const type = request.headers['content-type']
  // Nearly no client names one, and the pattern costs more than looking for its first letters.
  if (type === undefined || !type.includes(';')) return
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(type)?.[1]
  if (charset === undefined || /^utf-?8$/i.test(charset)) return
  throw new GatewayError('UNSUPPORTED_MEDIA_TYPE', 'The body must be UTF-8.')
}
