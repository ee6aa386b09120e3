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

/** The entries of a route's `response` for these errors, one per status. Errors are serialised by the error handler, not by these. */
export function problemResponses(...codes: readonly GatewayErrorCode[]): Record<number, object> {
  const responses: Record<number, object> = {}
  for (const status of new Set(codes.map((code) => problems[code].status))) {
    const names = codes.filter((code) => problems[code].status === status)
    responses[status] = {
      description: names.map((code) => `${code}: ${problems[code].title}`).join('. '),
      content: { 'application/problem+json': { schema: Problem } },
    }
  }
  return responses
}
