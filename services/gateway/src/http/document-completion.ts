import { type GatewayErrorCode, problems } from '../errors.ts'
import { Problem, type ProblemResponse, problemResponses } from '../schema/response.ts'
import type {
  ApiDocument,
  ApiHeader,
  ApiMedia,
  ApiOperation,
  ApiParameter,
  ApiReference,
  ApiResponse,
} from './api-document.ts'
import { hoistTitledSchemas } from './document-schemas.ts'
import { problemMediaType } from './problem.ts'
import { problemExample } from './problem-examples.ts'
import { problemsOfRoute, type RouteFacts } from './route-answers.ts'

/** Headers that answers have in common, by the name of their component. */
const headers = {
  'X-Request-Id': {
    description: 'Names the request in our logs; also in the body of every error.',
    required: true,
    schema: { type: 'string', format: 'uuid' },
    example: '2bf26168-85b3-4f29-974a-b83a6c164fb3',
  },
  'RateLimit-Policy': {
    description: 'By what is counted, how many requests are served (`q`), and in how many seconds (`w`).',
    required: true,
    schema: { type: 'string' },
    example: '"account";q=1000000;w=60',
  },
  RateLimit: {
    description: 'How many of them are left (`r`), and the seconds until they are counted anew (`t`).',
    required: true,
    schema: { type: 'string' },
    example: '"account";r=999999;t=60',
  },
  'Retry-After': {
    description: 'Seconds to wait before the request is sent again.',
    required: true,
    schema: { type: 'integer', minimum: 1 },
    example: 2,
  },
  'WWW-Authenticate': {
    description: 'How to say who sends the request.',
    required: true,
    schema: { type: 'string' },
    example: 'Bearer realm="millrace", error="invalid_token"',
  },
} as const satisfies Readonly<Record<string, ApiHeader>>

/** Answered where no request has come about, or none whose address can be read: without the headers that belong to a request. */
const brokenStatuses: readonly string[] = ['400', '408', '431']
/** Answered before a request is counted, or whatever became of it. */
const uncountedStatuses: readonly string[] = [...brokenStatuses, '401', '403', '414', '500', '503']

const contentEncoding: ApiParameter = {
  name: 'Content-Encoding',
  in: 'header',
  description: 'How the body is compressed, if it is. The bounds hold before and after decompression.',
  schema: { type: 'string', enum: ['gzip', 'zstd', 'identity'] },
  example: 'identity',
}

/**
 * Completes the document that was made of the routes' schemas with what follows from their other settings: every error that each can answer with,
 * as a problem document with an example; the headers of answers; how bodies may be compressed. Schemas that have a title become components.
 */
export function completeDocument(described: ApiDocument, routes: readonly RouteFacts[]): ApiDocument {
  const facts = new Map(routes.map((route) => [`${route.method} ${documentPath(route.url)}`, route]))
  for (const [path, operations] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const route = facts.get(`${method.toUpperCase()} ${path}`)
      if (route === undefined) throw new Error(`the document has ${method} ${path}, of which no route was registered`)
      completeRequest(operation)
      completeResponses(operation, route)
    }
  }
  const examples = Object.keys(problems)
    .filter((name): name is GatewayErrorCode => name in problems)
    .map((code) => [code, { summary: problems[code].title, value: problemExample(code) }] as const)
  described.components = {
    ...described.components,
    headers: { ...headers },
    examples: Object.fromEntries(examples),
    schemas: hoistTitledSchemas({ ...described.paths, problem: structuredClone(Problem) }),
  }
  return described
}

function documentPath(url: string): string {
  return url.replace(/:(\w+)/g, '{$1}')
}

function completeRequest(operation: ApiOperation): void {
  const parameters = operation.parameters ?? []
  for (const parameter of parameters) if (parameter.in === 'header') parameter.name = headerName(parameter.name)
  if (operation.requestBody !== undefined) {
    for (const media of Object.values(operation.requestBody.content)) nameExamples(media)
    parameters.push(structuredClone(contentEncoding))
  }
  if (parameters.length > 0) operation.parameters = parameters
}

function completeResponses(operation: ApiOperation, route: RouteFacts): void {
  for (const response of Object.values(operation.responses)) {
    for (const media of Object.values(response.content ?? {})) nameExamples(media)
    for (const header of Object.values(response.headers ?? {})) if (!('$ref' in header)) header.required = true
  }
  for (const [status, problem] of Object.entries(problemResponses(...problemsOfRoute(route)))) {
    const known = operation.responses[status]
    operation.responses[status] = withProblem(known, Number(status), problem)
  }
  for (const [status, response] of Object.entries(operation.responses)) {
    response.headers = { ...response.headers, ...commonHeaders(status, route) }
  }
}

/** A status that is answered with something else than a problem as well keeps that. */
function withProblem(
  known: ApiResponse | undefined,
  status: number,
  { description, problemCodes }: ProblemResponse,
): ApiResponse {
  const { [problemMediaType]: named, ...content } = known?.content ?? {}
  const other = known !== undefined && Object.keys(content).length > 0
  const schema = {
    allOf: [
      { $ref: '#/components/schemas/Problem' },
      { type: 'object', properties: { status: { const: status }, code: { enum: [...problemCodes] } } },
    ],
  }
  const examples = Object.fromEntries(
    problemCodes.map((code) => [code, { $ref: `#/components/examples/${code}` }] as const),
  )
  return {
    ...known,
    description: other ? `${known.description} Or ${description}` : description,
    content: { ...content, [problemMediaType]: { schema, examples } },
  }
}

function commonHeaders(status: string, { config }: RouteFacts): Record<string, ApiReference> {
  const names: (keyof typeof headers)[] = []
  if (!brokenStatuses.includes(status)) names.push('X-Request-Id')
  if (config.rateLimit !== false && !uncountedStatuses.includes(status)) {
    names.push('RateLimit-Policy', 'RateLimit')
  }
  if (status === '401') names.push('WWW-Authenticate')
  if (status === '429' || status === '503') names.push('Retry-After')
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** Examples have names, whether there is one or several, and whether they were written beside the schema or into it. */
function nameExamples(media: ApiMedia): void {
  const { example, schema } = media
  if (example !== undefined) {
    media.examples = { ...media.examples, example: { value: example } }
    delete media.example
  }
  if (schema !== undefined && Array.isArray(schema.examples)) {
    const written = schema.examples.map((value: unknown, i) => [`example${i + 1}`, { value }] as const)
    media.examples = { ...media.examples, ...Object.fromEntries(written) }
    delete schema.examples
  }
}

/** Fastify knows headers in small letters; people write them like this. */
function headerName(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_all, dash: string, letter: string) => dash + letter.toUpperCase())
}
