import { Type } from 'typebox'
import { type GatewayErrorCode, gatewayErrorCodes, problems } from '../errors.ts'

/** The body of every error, for the API document. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:millrace:problem:<code>' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String(),
    code: Type.Enum([...gatewayErrorCodes]),
    request_id: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          in: Type.Optional(Type.Enum(['body', 'query', 'path', 'header'])),
          pointer: Type.String({ description: 'JSON pointer of the faulty part' }),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { title: 'Problem', additionalProperties: true },
)

/** One status of a route's errors: its entry of `response`, and what the API document is made of. */
export interface ProblemResponse {
  readonly description: string
  readonly content: { readonly 'application/problem+json': { readonly schema: typeof Problem } }
  readonly problemCodes: readonly GatewayErrorCode[]
}

/**
 * The entries of a route's `response` for these errors, one per status. Errors are serialised by the error handler, not by these. What follows
 * from a route's other settings (401 where a token is wanted, 413 where there is a body) needs no mention: the API document adds it.
 */
export function problemResponses(...codes: readonly GatewayErrorCode[]): Record<number, ProblemResponse> {
  const responses: Record<number, ProblemResponse> = {}
  for (const status of new Set(codes.map((code) => problems[code].status))) {
    const problemCodes = codes.filter((code) => problems[code].status === status)
    responses[status] = {
      description: problemCodes.map((code) => `${code}: ${problems[code].title}`).join('. '),
      content: { 'application/problem+json': { schema: Problem } },
      problemCodes,
    }
  }
  return responses
}
