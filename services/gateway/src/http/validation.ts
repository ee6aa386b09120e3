import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { type Fault, GatewayError } from '../errors.ts'
import { compileCheck, type FaultPlace } from '../schema/schema-check.ts'
import type { GatewayApp } from './gateway-app.ts'

/**
 * Validates with TypeBox. Bodies are never changed. Query and path parameters are text by nature: where the schema wants an integer or a
 * boolean, a text that is exactly one becomes it, and any other text is a fault.
 */
export function registerValidation(app: GatewayApp): void {
  app.setValidatorCompiler(compileValidator)
  // Faults of the body's content and of its form are told together, by the hook below.
  app.addHook('onRoute', (route) => {
    route.attachValidation = true
  })
  app.addHook('preHandler', (request, _reply, done) => {
    const { bodyFaults, validationError } = request
    if (bodyFaults === null || bodyFaults.length === 0) return done(validationError)
    const content: Fault[] = bodyFaults.map(({ pointer, detail }) => ({ in: 'body', pointer, detail }))
    const tooDeep = bodyFaults.some((fault) => fault.code === 'TOO_DEEP') === true
    // A body that is nested too deep was not even parsed: what validation says of it would be wrong.
    const form = !tooDeep && validationError instanceof GatewayError ? validationError.faults : []
    done(invalidBody([...content, ...form]))
  })
}

/** The error of a body with these faults. */
export function invalidBody(faults: readonly Fault[]): GatewayError {
  return new GatewayError('INVALID_BODY', `The body has ${countOf(faults)}.`, { faults })
}

/** The error of parameters with these faults. */
export function invalidParameter(faults: readonly Fault[]): GatewayError {
  return new GatewayError('INVALID_PARAMETER', `The parameters have ${countOf(faults)}.`, { faults })
}

function countOf(faults: readonly Fault[]): string {
  return faults.length === 1 ? 'one fault' : `${faults.length} faults`
}

const places: Readonly<Record<string, FaultPlace>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'header',
}

/** Makes the checks of a route's schemas; for routes that read their body themselves, and have the rest checked by this. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart = 'body' }) => {
  const check = compileCheck(schema)
  const place = places[httpPart] ?? 'body'
  // Found once for the route: a schema has as many properties at every request.
  const types = place === 'query' || place === 'path' ? propertyTypes(schema) : undefined
  return (data: unknown) => {
    const value = types === undefined ? data : readTexts(types, data)
    if (check.check(value)) return { value }
    const faults = check.faults(value, { in: place })
    return { error: place === 'body' ? invalidBody(faults) : invalidParameter(faults) }
  }
}

function readTexts(types: ReadonlyMap<string, unknown>, data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, readText(types.get(name), value)]))
}

function readText(type: unknown, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (type === 'integer' && /^-?\d{1,15}$/.test(value)) return Number(value)
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  return value
}

function propertyTypes(schema: TSchema): Map<string, unknown> {
  const properties = 'properties' in schema ? schema.properties : undefined
  if (typeof properties !== 'object' || properties === null) return new Map()
  return new Map(Object.entries(properties).map(([name, property]) => [name, typeOf(property)]))
}

function typeOf(property: unknown): unknown {
  return typeof property === 'object' && property !== null && 'type' in property ? property.type : undefined
}
