import type { GatewayApp } from './gateway-app.ts'

/** What pages of this service may do; a route that needs more says so itself. */
const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join(';')

/**
 * By OWASP's cheat sheets for HTTP headers and REST, except Strict-Transport-Security: that is for whoever ends TLS in front of this service.
 * Answers hold personal data and tokens, so no cache on the way may keep them unless a route says so.
 */
const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': contentPolicy,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

/** Sends the headers that protect browsers, with every answer. They never change, so nothing is computed for a request. */
export function registerSecurityHeaders(app: GatewayApp): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(securityHeaders)
    done()
  })
}
