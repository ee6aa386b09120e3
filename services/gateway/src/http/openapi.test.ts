import Schema, { type Validator } from 'typebox/schema'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { problems } from '../errors.ts'
import type { ApiDocument, ApiHeader, ApiMedia, ApiOperation, ApiReference, ApiSchema } from './api-document.ts'
import { problemMediaType } from './problem.ts'

let test: TestApp
let document: ApiDocument
beforeAll(async () => {
  test = await openTestApp()
  // The account that the example of an API key names.
  const shop = { id: 'id-of-shop', username: 'shop', role: 'producer', passwordHash: '', disabled: false }
  test.accounts.byName.set(shop.username, shop)
  document = test.app.apiDocument()
})
afterAll(() => test.close())

interface NamedOperation extends ApiOperation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
}

function operations(): NamedOperation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const name = (['GET', 'POST', 'PUT', 'DELETE'] as const).find((known) => known.toLowerCase() === method)
      if (name === undefined) throw new Error(`${method} ${path}: teach this test the method`)
      return { ...operation, method: name, path }
    }),
  )
}

/** What a reference points to; anything else is answered as it is. */
function resolved(node: unknown): unknown {
  if (typeof node !== 'object' || node === null || !('$ref' in node)) return node
  let at: unknown = document
  for (const step of String(node.$ref).split('/').slice(1)) {
    at = typeof at === 'object' && at !== null ? Object.entries(at).find(([key]) => key === step)?.[1] : undefined
  }
  expect(at, `${node.$ref} points to nothing`).toBeDefined()
  return at
}

/** By the schemas' texts: answers have many of them in common, and compiling takes a while. */
const validators = new Map<string, Validator>()

/** What the schema finds wrong with the value. References are of the whole document, so its components go along. */
function faultsOf(schema: ApiSchema, value: unknown): string[] {
  const text = JSON.stringify(schema)
  const validator = validators.get(text) ?? Schema.Compile({ components: document.components, ...schema })
  validators.set(text, validator)
  const [, errors] = validator.Errors(value)
  return errors.map(({ instancePath, message }) => `${instancePath} ${message}`)
}

function examplesOf(media: ApiMedia): [string, unknown][] {
  return Object.entries(media.examples ?? {}).map(([name, example]) => {
    const found = resolved(example)
    return [name, typeof found === 'object' && found !== null && 'value' in found ? found.value : undefined]
  })
}

/** Every body of the document, asked for or answered, with a name for messages. */
function medias(): { readonly where: string; readonly media: ApiMedia }[] {
  return operations().flatMap(({ operationId, requestBody, responses }) => [
    ...Object.entries(requestBody?.content ?? {}).map(([type, media]) => ({
      where: `${operationId}: body as ${type}`,
      media,
    })),
    ...Object.entries(responses).flatMap(([status, { content = {} }]) =>
      Object.entries(content).map(([type, media]) => ({ where: `${operationId}: ${status} as ${type}`, media })),
    ),
  ])
}

describe('the document', () => {
  it('gives every operation a name of its own, a summary, and one of the tags', () => {
    const tags = document.tags.map(({ name }) => name)
    const wrong = operations().filter(({ operationId, summary, tags: own = [] }) => {
      return operationId === undefined || summary === undefined || own.length !== 1 || !tags.includes(own[0] ?? '')
    })
    expect(wrong.map(({ method, path }) => `${method} ${path}`)).toEqual([])
    const names = operations().map(({ operationId }) => operationId)
    expect(new Set(names).size).toBe(names.length)
  })

  it('has an example of every parameter, body and answer', () => {
    const parameters = operations().flatMap(({ operationId, parameters: own = [] }) =>
      own
        .filter(({ example, examples }) => example === undefined && examples === undefined)
        .map(({ name }) => `${operationId}: parameter ${name}`),
    )
    const bodies = medias()
      .filter(({ media }) => examplesOf(media).length === 0)
      .map(({ where }) => where)
    const how =
      'write `examples: [...]` into the options of the TypeBox schema in the route; errors have theirs already'
    expect([...parameters, ...bodies], how).toEqual([])
  })

  it('has no example that its own schema refuses', () => {
    const parameters = operations().flatMap(({ operationId, parameters: own = [] }) =>
      own.flatMap(({ name, schema, example, examples }) =>
        (examples === undefined ? [example] : Object.values(examples).map(({ value }) => value)).map((value) => ({
          where: `${operationId}: parameter ${name}`,
          faults: faultsOf(schema, value),
        })),
      ),
    )
    const bodies = medias().flatMap(({ where, media }) =>
      examplesOf(media).map(([name, value]) => ({
        where: `${where}, ${name}`,
        faults: faultsOf(media.schema ?? {}, value),
      })),
    )
    const headers = Object.entries(document.components.headers).map(([name, { schema, example }]) => ({
      where: `header ${name}`,
      faults: faultsOf(schema, example),
    }))
    expect([...parameters, ...bodies, ...headers].filter(({ faults }) => faults.length > 0)).toEqual([])
  })

  it('says what goes wrong, by what a route takes and from whom', () => {
    for (const { operationId, method, path, security, responses, parameters = [] } of operations()) {
      const expected = ['400', '408', '431', '500', '503']
      if (security === undefined) expected.push('401')
      if (method !== 'GET') expected.push('413', '415')
      if (path.includes('{')) expected.push('414')
      expect(Object.keys(responses), operationId).toEqual(expect.arrayContaining(expected))
      const codes = examplesOf(responses['400']?.content?.[problemMediaType] ?? {}).map(([code]) => code)
      const isChecked = parameters.some(({ in: place }) => place === 'query' || place === 'path')
      if (isChecked) expect(codes, operationId).toContain('INVALID_PARAMETER')
    }
  })

  it('has the status and the codes of an error in its schema', () => {
    const conflict = document.paths['/api/v1/lead/process']?.post?.responses['422']?.content?.[problemMediaType]
    const schema = conflict?.schema ?? {}
    const [example] = Object.values(document.components.examples).filter(
      ({ summary }) => summary === problems.LEAD_CONFLICT.title,
    )
    const right = example?.value
    expect(faultsOf(schema, right)).toEqual([])
    expect(faultsOf(schema, { ...Object(right), code: 'INTERNAL' })).not.toEqual([])
    expect(faultsOf(schema, { ...Object(right), status: 400 })).not.toEqual([])
  })

  it('points to nothing that is not there', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, $ref]) => $ref)
    expect(references.length).toBeGreaterThan(0)
    for (const $ref of new Set(references)) resolved({ $ref })
  })
})

/** One request of an operation, made of its examples. */
function requestOf({ method, path, parameters = [] }: NamedOperation) {
  const example = (name: string) => encodeURIComponent(String(parameters.find((own) => own.name === name)?.example))
  return { method, url: path.replace(/\{(\w+)\}/g, (_all, name: string) => example(name)) }
}

/** The examples of a body as they are sent: texts and bytes as they are, all else as JSON. */
function bodiesOf({ requestBody }: NamedOperation): { type: string; body: Buffer }[] {
  return Object.entries(requestBody?.content ?? {}).flatMap(([type, media]) =>
    examplesOf(media).map(([, value]) => {
      if (type.includes('avro')) return { type, body: Buffer.from(String(value), 'base64') }
      return { type, body: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)) }
    }),
  )
}

describe('the examples, sent', () => {
  /** Streams do not end, so their tests are their own. */
  const asked = () =>
    operations().filter(({ responses }) => responses['200']?.content?.['text/event-stream'] === undefined)

  it('are answered as the document says', async () => {
    for (const operation of asked()) {
      const bodies = operation.requestBody === undefined ? [undefined] : bodiesOf(operation)
      for (const sent of bodies) {
        const headers = { authorization: test.bearer('admin'), ...(sent && { 'content-type': sent.type }) }
        const request = { ...requestOf(operation), headers, ...(sent && { payload: sent.body }) }
        const answer = await test.app.inject(request)
        const where = `${operation.operationId} ${sent?.type ?? ''} ${answer.statusCode} ${answer.body}`
        // Of what may be true of a right request, everything but a mistake of ours.
        expect([400, 415, 500], where).not.toContain(answer.statusCode)
        expectDocumented(operation, answer, where)
      }
    }
  })

  it('are answered as the document says when nobody is known', async () => {
    for (const operation of asked().filter(({ security }) => security === undefined)) {
      const answer = await test.app.inject(requestOf(operation))
      expect(answer.statusCode, operation.operationId).toBe(401)
      expectDocumented(operation, answer, `${operation.operationId}`)
    }
  })
})

function expectDocumented(
  { responses }: ApiOperation,
  answer: { statusCode: number; headers: Record<string, unknown>; body: string },
  where: string,
): void {
  const response = responses[String(answer.statusCode)]
  expect(response, where).toBeDefined()
  for (const [name, header] of Object.entries(response?.headers ?? {})) {
    if (isRequired(header)) expect(answer.headers[name.toLowerCase()], `${where}: ${name}`).toBeDefined()
  }
  if (response?.content === undefined) {
    expect(answer.body, where).toBe('')
    return
  }
  const type = String(answer.headers['content-type']).split(';', 1)[0] ?? ''
  const media = response.content[type]
  expect(media, `${where}: ${type}`).toBeDefined()
  const value: unknown = type.includes('json') ? JSON.parse(answer.body) : answer.body
  expect(faultsOf(media?.schema ?? {}, value), where).toEqual([])
}

function isRequired(header: ApiHeader | ApiReference): boolean {
  const found = resolved(header)
  return typeof found === 'object' && found !== null && 'required' in found && found.required === true
}
