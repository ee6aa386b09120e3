import { STATUS_CODES } from 'node:http'
import type {
  ApiDocument,
  ApiExample,
  ApiMedia,
  ApiOperation,
  ApiParameter,
  ApiReference,
} from '../src/http/api-document.ts'
import { problemsOfEveryRoute } from '../src/http/route-answers.ts'

/** Where the collection finds the container of the Avro request, beside itself. */
export const containerFile = 'event.avro'

interface Pair {
  readonly key: string
  readonly value: string
  readonly description?: string
  /** Shown, and not sent until somebody ticks it. */
  readonly disabled?: boolean
}

interface PostmanRequest {
  readonly method: string
  readonly description?: string
  readonly auth?: { readonly type: 'noauth' }
  readonly header: readonly Pair[]
  readonly url: {
    readonly raw: string
    readonly host: readonly string[]
    readonly path: readonly string[]
    readonly query: readonly Pair[]
    readonly variable: readonly Pair[]
  }
  readonly body?: object
}

interface PostmanItem {
  readonly name: string
  readonly event?: readonly object[]
  readonly request: PostmanRequest
  readonly response: readonly object[]
}

/** A collection of Postman, format 2.1: of its parts those that we write. */
export interface PostmanCollection {
  readonly info: { readonly name: string; readonly description: string; readonly schema: string }
  readonly auth: object
  readonly variable: readonly { readonly key: string; readonly value: string }[]
  readonly item: readonly {
    readonly name: string
    readonly description: string
    readonly item: readonly PostmanItem[]
  }[]
}

/** What a login or a refresh answers is kept for the requests after it. */
const keepTokens = {
  listen: 'test',
  script: {
    type: 'text/javascript',
    exec: [
      'if (pm.response.code === 200) {',
      '  const { token, refresh_token } = pm.response.json()',
      "  pm.collectionVariables.set('token', token)",
      "  pm.collectionVariables.set('refresh_token', refresh_token)",
      '}',
    ],
  },
}

/** Errors that say nothing of an operation. */
const everywhere: readonly string[] = problemsOfEveryRoute

/** Bodies that are made of the collection's variables instead of the document's examples. */
const ownBodies: Readonly<Record<string, object>> = {
  login: { username: '{{username}}', password: '{{password}}' },
  refreshToken: { refresh_token: '{{refresh_token}}' },
}

/**
 * Makes a collection of the API's document: a folder per tag, a request per operation and form of body, all of their documented answers as
 * examples. Requests carry the token that the login has stored.
 */
export function postmanCollection(document: ApiDocument): PostmanCollection {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  return {
    info: {
      name: document.info.title,
      description: `${document.info.description} Set \`username\` and \`password\`, and send the login first.`,
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{token}}', type: 'string' }] },
    variable: [
      { key: 'baseUrl', value: 'http://127.0.0.1:8080' },
      { key: 'username', value: 'admin' },
      { key: 'password', value: 'password' },
      { key: 'token', value: '' },
      { key: 'refresh_token', value: '' },
    ],
    item: document.tags.map(({ name, description }) => ({
      name,
      description,
      item: operations
        .filter(({ operation }) => operation.tags?.includes(name))
        .flatMap(({ path, method, operation }) => itemsOf(document, { path, method, operation })),
    })),
  }
}

interface NamedOperation {
  readonly path: string
  readonly method: string
  readonly operation: ApiOperation
}

function itemsOf(document: ApiDocument, named: NamedOperation): PostmanItem[] {
  const { operation } = named
  const { operationId = '', summary = operationId, requestBody } = operation
  const isLogin = operationId === 'login' || operationId === 'refreshToken'
  const forms: readonly (readonly [string, ApiMedia] | undefined)[] =
    requestBody === undefined ? [undefined] : Object.entries(requestBody.content)
  return forms.map((form) => {
    const request = requestOf(document, named, form)
    return {
      name: forms.length > 1 ? `${summary} (${form?.[0]})` : summary,
      ...(isLogin ? { event: [keepTokens] } : {}),
      request,
      response: answersOf(document, operation, { method: request.method, header: [], url: request.url.raw }),
    }
  })
}

function requestOf(
  document: ApiDocument,
  { path, method, operation }: NamedOperation,
  form: readonly [string, ApiMedia] | undefined,
): PostmanRequest {
  const { parameters = [], description, security } = operation
  const of = (place: ApiParameter['in']) => parameters.filter((parameter) => parameter.in === place)
  // Postman compresses nothing.
  const headers = of('header').filter(({ name }) => name !== 'Content-Encoding')
  const segments = path
    .replace(/\{(\w+)\}/g, ':$1')
    .slice(1)
    .split('/')
  return {
    method,
    ...(description === undefined ? {} : { description }),
    ...(security?.length === 0 ? { auth: { type: 'noauth' } } : {}),
    header: [...(form === undefined ? [] : [{ key: 'Content-Type', value: form[0] }]), ...headers.map(pairOf)],
    url: {
      raw: `{{baseUrl}}/${segments.join('/')}`,
      host: ['{{baseUrl}}'],
      path: segments,
      query: of('query').map(pairOf),
      variable: of('path').map((parameter) => ({ ...pairOf(parameter), disabled: false })),
    },
    ...(form === undefined ? {} : { body: bodyOf(document, operation.operationId ?? '', form) }),
  }
}

function pairOf({ name, example, examples, description, required }: ApiParameter): Pair {
  const value = example ?? Object.values(examples ?? {})[0]?.value
  return {
    key: name,
    value: textOf(value),
    ...(description === undefined ? {} : { description }),
    disabled: required !== true,
  }
}

function bodyOf(document: ApiDocument, operationId: string, [type, media]: readonly [string, ApiMedia]): object {
  if (type.includes('avro')) return { mode: 'file', file: { src: containerFile } }
  const [example] = examplesOf(document, media)
  const language = type.includes('json') && !type.includes('ndjson') ? 'json' : 'text'
  return { mode: 'raw', raw: textOf(ownBodies[operationId] ?? example?.value), options: { raw: { language } } }
}

/** The documented answers, as Postman shows saved ones; without the errors that any request may meet. */
function answersOf(document: ApiDocument, { responses }: ApiOperation, originalRequest: object): object[] {
  return Object.entries(responses).flatMap(([code, { content, description }]): object[] => {
    const status = { status: STATUS_CODES[code] ?? '', code: Number(code), originalRequest, cookie: [] }
    if (content === undefined) return [{ name: description, ...status, header: [], body: '' }]
    return Object.entries(content).flatMap(([type, media]) =>
      examplesOf(document, media)
        .filter(({ name }) => !everywhere.includes(name))
        .map(({ name, value }) => ({
          name,
          ...status,
          _postman_previewlanguage: type.includes('json') ? 'json' : 'text',
          header: [{ key: 'Content-Type', value: type }],
          body: textOf(value),
        })),
    )
  })
}

function examplesOf(document: ApiDocument, media: ApiMedia): { readonly name: string; readonly value: unknown }[] {
  return Object.entries(media.examples ?? {}).map(([name, example]) => ({
    name,
    value: exampleValue(document, example),
  }))
}

function exampleValue(document: ApiDocument, example: ApiExample | ApiReference): unknown {
  if ('value' in example) return example.value
  return document.components.examples[example.$ref.split('/').at(-1) ?? '']?.value
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value, null, 2)
}
