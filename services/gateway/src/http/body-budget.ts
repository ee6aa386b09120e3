import { GatewayError } from '../errors.ts'
import { countedBodyBytesMin } from '../limits.ts'
import type { GatewayApp } from './gateway-app.ts'

/** Bounds of what bodies may take while they arrive and are worked on. */
export interface BodyBudget {
  /** Over all requests. */
  readonly bytesMax: number
  /** Of one account: whoever announces much and sends it slowly must not keep the others out. */
  readonly bytesPerAccountMax: number
}

/**
 * Refuses a body with `OVERLOADED` before it is read when what is being read already would be over the budget: memory must hold what
 * clients may send at the same time. A body counts by its announced length, by the most that its route takes when there is none, and small
 * ones not at all. One that is larger than a bound goes through when nothing else is counted against it. Comes after authentication.
 */
export function registerBodyBudget(app: GatewayApp, { bytesMax, bytesPerAccountMax }: BodyBudget): void {
  let all = 0
  const byAccount = new Map<string, number>()

  app.addHook('onRequest', async (request, reply) => {
    const { headers, routeOptions } = request
    const isChunked = headers['transfer-encoding'] !== undefined
    const bytes = isChunked ? (routeOptions.bodyLimit ?? 0) : Number(headers['content-length'] ?? 0)
    // What is over the route's bound is refused without being read.
    if (!(bytes >= countedBodyBytesMin) || bytes > (routeOptions.bodyLimit ?? 0)) return
    const account = request.principal?.id ?? `address ${request.ip}`
    const own = byAccount.get(account) ?? 0
    if ((all > 0 && all + bytes > bytesMax) || (own > 0 && own + bytes > bytesPerAccountMax)) {
      // The rest of the body is not read.
      reply.header('connection', 'close')
      const detail =
        'Too much is being received at this moment: send this again a little later. Nothing of it was taken.'
      throw new GatewayError('OVERLOADED', detail, { retryAfterSeconds: 1 })
    }
    all += bytes
    byAccount.set(account, own + bytes)
    // Comes once, after the answer and also when the client goes away.
    reply.raw.once('close', () => {
      all -= bytes
      const left = (byAccount.get(account) ?? 0) - bytes
      if (left > 0) byAccount.set(account, left)
      else byAccount.delete(account)
    })
  })
}
