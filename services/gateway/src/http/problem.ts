import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { StorageError } from '@millrace/storage/mysql'
import { StreamsError } from '@millrace/streams'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { type Fault, GatewayError, type GatewayErrorCode, problems } from '../errors.ts'
import { problemFaultsMax, retryAfterSeconds } from '../limits.ts'
import { traceFields } from '../tracing/request-tracing.ts'

/** The body of every error, RFC 9457. */
export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly instance: string
  readonly code: GatewayErrorCode
  readonly request_id: string
  readonly errors?: readonly Fault[]
  readonly [extension: string]: unknown
}

export const problemMediaType = 'application/problem+json'

/** The `type` of a code's problems: a name, not an address. */
export function problemType(code: GatewayErrorCode): string {
  return `urn:millrace:problem:${code.toLowerCase().replaceAll('_', '-')}`
}

/** Answers a request with an error. Server errors are logged with their causes; nothing of a cause reaches the client. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = toGatewayError(error)
  const { status } = problems[problem.code]
  request.problemCode = problem.code
  if (status >= 500) logProblem(problem, error, request)
  // Here too, because an address that cannot be read never comes past the hook that sets it.
  reply.header('x-request-id', request.id).header('cache-control', 'no-store')
  // RFC 9110, 15.5.2: every 401 says how to do better; errors that know more about it replace this.
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="millrace"')
  for (const [name, value] of Object.entries(problem.headers)) reply.header(name, value)
  const wait = problem.retryAfterSeconds ?? (status === 503 ? retryAfterSeconds : undefined)
  if (wait !== undefined) reply.header('retry-after', wait)
  const document = problemDocument(problem, { instance: request.url, requestId: request.id })
  // As bytes: to a text Fastify would add a charset, which this media type does not have.
  reply
    .code(status)
    .type(problemMediaType)
    .send(Buffer.from(JSON.stringify(document)))
}

/** The document of an error. */
export function problemDocument(
  error: GatewayError,
  request: { readonly instance: string; readonly requestId: string },
): ProblemDocument {
  const { status, title } = problems[error.code]
  const listed = error.faults.slice(0, problemFaultsMax)
  const more = error.faults.length - listed.length
  return {
    type: problemType(error.code),
    title,
    status,
    detail: more > 0 ? `${error.detail} ${more} further faults are not listed.` : error.detail,
    // Without the query: it may hold what logs and screenshots should not.
    instance: request.instance.split('?', 1)[0] ?? '',
    code: error.code,
    request_id: request.requestId,
    ...error.extensions,
    ...(listed.length === 0 ? {} : { errors: listed }),
  }
}

/** Writes an error to a socket on which no request came about: broken HTTP, headers too late or too long. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const code = brokenRequestCodes[error.code ?? ''] ?? 'BAD_REQUEST'
  const { status } = problems[code]
  const problem = new GatewayError(code, 'The request could not be read, and the connection is closed.')
  const body = JSON.stringify(problemDocument(problem, { instance: '', requestId: '' }))
  if (socket.writable) {
    const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: ${problemMediaType}`
    socket.write(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }
  socket.destroy()
}

const brokenRequestCodes: Readonly<Record<string, GatewayErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
}

/** What an error of any kind is to the client. */
export function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  if (error instanceof StreamsError) return fromStreams(error)
  if (error instanceof StorageError) return fromStorage(error)
  if (isFastifyError(error)) return fromFastify(error)
  return new GatewayError('INTERNAL', 'The request failed. Its id tells us why.', { cause: error })
}

function fromStreams(cause: StreamsError): GatewayError {
  if (cause.code === 'RECORD_TOO_LARGE') {
    return new GatewayError('BODY_TOO_LARGE', 'A record is larger than Kafka accepts: send less in it.', { cause })
  }
  const detail =
    'Kafka did not acknowledge the records in time. Some may have been written nevertheless: send them again with the same ids.'
  return new GatewayError('KAFKA_UNAVAILABLE', detail, { cause })
}

function fromStorage(cause: StorageError): GatewayError {
  if (cause.code === 'QUERY_TOO_EXPENSIVE') {
    return new GatewayError('INVALID_PARAMETER', 'The query took too long: narrow it, for instance by time.', { cause })
  }
  return new GatewayError('STORE_UNAVAILABLE', 'A database does not answer right now.', { cause })
}

const fastifyErrors: Readonly<Record<string, readonly [GatewayErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'The body is larger than this route takes.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'UNSUPPORTED_MEDIA_TYPE',
    'This route does not take bodies of this type: most take application/json.',
  ],
  FST_ERR_CTP_EMPTY_TYPE: ['UNSUPPORTED_MEDIA_TYPE', 'Say in Content-Type what the body is.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['BAD_REQUEST', 'The body is not as long as Content-Length says.'],
  FST_ERR_MAX_PARAM_LENGTH: ['URI_TOO_LONG', 'A part of the path is too long.'],
  FST_ERR_BAD_URL: ['BAD_REQUEST', 'The address is not a valid one.'],
}

function fromFastify(cause: FastifyError): GatewayError {
  const known = fastifyErrors[cause.code]
  if (known !== undefined) return new GatewayError(known[0], known[1], { cause })
  const status = cause.statusCode ?? 500
  if (status >= 500) return new GatewayError('INTERNAL', 'The request failed. Its id tells us why.', { cause })
  return new GatewayError('BAD_REQUEST', 'The request cannot be understood.', { cause })
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_')
}

function logProblem(problem: GatewayError, error: unknown, request: FastifyRequest): void {
  const fields = {
    err: error,
    code: problem.code,
    route: request.routeOptions.url,
    request_id: request.id,
    ...traceFields(request),
  }
  if (problem.code === 'INTERNAL') request.log.error(fields, 'a request failed')
  else request.log.warn(fields, 'a request could not be served')
}
