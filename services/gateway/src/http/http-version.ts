import { GatewayError } from '../errors.ts'
import type { GatewayApp } from './gateway-app.ts'

/** Refuses HTTP/0.9, which Node still answers: it has no headers, and what answers without them lets one service pass for another. */
export function registerHttpVersion(app: GatewayApp): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (request.raw.httpVersionMajor >= 1) return done()
    reply.header('connection', 'close')
    done(new GatewayError('BAD_REQUEST', 'The request is not HTTP/1.1.'))
  })
}
