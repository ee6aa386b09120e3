import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { invalidParameter } from '../http/validation.ts'
import { idempotencyKeyCharsMax } from '../limits.ts'

/** For the API's document; the key itself is read by `idempotencyKey`. */
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: idempotencyKeyCharsMax,
      pattern: '^[\\x21-\\x7e]+$',
      description:
        'Makes a repetition safe: the same lead under the same key gets the same lead_id, and is stored once.',
      examples: ['order-4711'],
    }),
  ),
})

/** The request's `Idempotency-Key`: 1 to 255 visible ASCII characters; undefined when there is none. Throws `INVALID_PARAMETER` for any other. */
export function idempotencyKey(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key']
  if (header === undefined) return undefined
  if (typeof header === 'string' && isIdempotencyKey(header)) return header
  throw invalidParameter([{ in: 'header', pointer: '/idempotency-key', detail: keyRule }])
}

/** Whether a text may be a key: in the header, or of one lead of a bulk request. */
export function isIdempotencyKey(text: string): boolean {
  return text.length <= idempotencyKeyCharsMax && /^[\x21-\x7e]+$/.test(text)
}

/** What a key must be, for faults. */
export const keyRule = `must be 1 to ${idempotencyKeyCharsMax} visible ASCII characters`
