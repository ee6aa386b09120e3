import { CaseError } from './case-error.ts'
import { Fields } from './fields.ts'
import { isArray, isObject, type Json, type JsonObject, memberOf } from './json.ts'

/** One case: a topology, what is fed to it, and what Kafka Streams gives. */
export interface ConformanceCase {
  readonly name: string
  readonly config: CaseConfig
  readonly topology: readonly Fields[]
  readonly inputs: readonly CaseInput[]
  readonly expect: Expectation
  readonly variants: ReadonlyMap<string, Expectation>
}

/** How the application of a case is configured. */
export interface CaseConfig {
  readonly cacheBytes: number
  readonly emitIntervalMs: number
  readonly deserialization: 'fail' | 'continue'
}

/** One step of a case. */
export type CaseInput = RecordInput | AdvanceInput | QueryInput

/** A record; with `raw`, these bytes take the place of its value. */
export interface RecordInput {
  readonly kind: 'record'
  readonly topic: string
  readonly key: string | null
  readonly value: Json
  readonly raw: string | undefined
  readonly timestamp: number
  readonly headers: readonly (readonly [string, string])[]
}

/** The wall clock moves on. */
export interface AdvanceInput {
  readonly kind: 'advance'
  readonly ms: number
}

/** A store is read. */
export interface QueryInput {
  readonly kind: 'query'
  readonly query: Fields
}

/** A result, or what is expected of one. A part that is null is not compared; one that is undefined is not there. */
export interface Expectation {
  readonly outputs: JsonObject | null
  readonly stores: JsonObject | null
  readonly queries: Json
  readonly dropped: Json
  /** The number of the input that stops the application, or `build`; undefined: none does. */
  readonly errorAt: Json | undefined
}

/** Reads a case file's text. Throws `CaseError` for one that is not as the format says, or that holds no case. */
export function readCases(text: string): readonly ConformanceCase[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new CaseError(`it is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  if (!isArray(json)) throw new CaseError('it must be an array of cases')
  if (json.length === 0) throw new CaseError('it contains no case')
  return json.map((item, i) => caseOf(item, `case ${i}`))
}

function caseOf(json: Json, where: string): ConformanceCase {
  const name = new Fields(json, where).text('name')
  const fields = new Fields(json, name)
  const topology = fields.objects('topology')
  if (topology.length === 0) throw new CaseError(`${name}: "topology" has no nodes`)
  const expect = expectationOf(fields.fields('expect'))
  return {
    name,
    config: configOf(fields.has('config') ? fields.fields('config') : new Fields({}, name)),
    topology,
    inputs: fields.objects('inputs').map(inputOf),
    expect,
    variants: fields.has('variants') ? variantsOf(fields.fields('variants'), expect) : new Map(),
  }
}

function configOf(fields: Fields): CaseConfig {
  const unknown = fields.names.find((name) => !['cacheBytes', 'emitIntervalMs', 'deserialization'].includes(name))
  if (unknown !== undefined) throw new CaseError(`${fields.where}: "${unknown}" is not known`)
  const deserialization = fields.optionalText('deserialization') ?? 'fail'
  if (deserialization !== 'fail' && deserialization !== 'continue')
    throw new CaseError(`${fields.where}: "deserialization" must be fail or continue, not ${deserialization}`)
  return {
    cacheBytes: fields.optionalNumber('cacheBytes') ?? 0,
    emitIntervalMs: fields.optionalNumber('emitIntervalMs') ?? 0,
    deserialization,
  }
}

function inputOf(fields: Fields): CaseInput {
  if (fields.has('advance')) return { kind: 'advance', ms: fields.number('advance') }
  if (fields.has('query')) return { kind: 'query', query: fields.fields('query') }
  return {
    kind: 'record',
    topic: fields.text('topic'),
    key: fields.textOrNull('key'),
    value: fields.json('value'),
    raw: fields.optionalText('raw'),
    timestamp: fields.number('ts'),
    headers: fields.has('headers') ? fields.list('headers').map((pair) => headerOf(pair, fields.where)) : [],
  }
}

function headerOf(pair: Json, where: string): readonly [string, string] {
  const [name, text] = isArray(pair) ? pair : []
  if (typeof name !== 'string' || typeof text !== 'string')
    throw new CaseError(`${where}: a header is [name, text], not ${JSON.stringify(pair)}`)
  return [name, text]
}

function expectationOf(fields: Fields): Expectation {
  return {
    outputs: fields.object('outputs'),
    stores: fields.has('stores') ? fields.object('stores') : {},
    queries: fields.has('queries') ? fields.list('queries') : [],
    dropped: fields.has('dropped') ? fields.json('dropped') : 0,
    errorAt: fields.has('error') ? fields.fields('error').json('at') : undefined,
  }
}

/** A variant's members lie over those expected; of the stores it replaces those it names. */
function variantsOf(variants: Fields, expect: Expectation): ReadonlyMap<string, Expectation> {
  return new Map(
    variants.names.map((name) => {
      const fields = variants.fields(name)
      const stores = objectOrNull(fields, 'stores', {})
      return [
        name,
        {
          outputs: objectOrNull(fields, 'outputs', expect.outputs),
          stores: stores === null ? null : { ...expect.stores, ...stores },
          queries: fields.has('queries') ? fields.json('queries') : expect.queries,
          dropped: fields.has('dropped') ? fields.json('dropped') : expect.dropped,
          errorAt: fields.has('error') ? memberOf(fields.object('error'), 'at') : expect.errorAt,
        },
      ]
    }),
  )
}

function objectOrNull(fields: Fields, name: string, absent: JsonObject | null): JsonObject | null {
  if (!fields.has(name)) return absent
  const value = fields.json(name)
  if (value !== null && !isObject(value)) throw new CaseError(`${fields.where}: "${name}" must be an object or null`)
  return value
}
