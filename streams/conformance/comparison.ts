import type { ConformanceCase, Expectation } from './case-format.ts'
import type { CaseResult } from './case-run.ts'
import { isArray, isObject, isSame, type Json, type JsonObject, memberOf } from './json.ts'

/** Which variants of the expectations are accepted: the results without three defects of Kafka Streams. */
const accepted = ['corrected'] as const

/** The first difference between a result and what is expected of the case; undefined when one of the accepted expectations is met. */
export function differenceOf(of: ConformanceCase, result: CaseResult): string | undefined {
  let difference = differenceFrom(of.expect, result)
  for (const name of accepted) {
    const variant = of.variants.get(name)
    if (difference === undefined || variant === undefined) continue
    const other = differenceFrom(variant, result)
    difference = other === undefined ? undefined : `${name}: ${other}`
  }
  return difference
}

function differenceFrom(expect: Expectation, result: CaseResult): string | undefined {
  const { errorAt } = expect
  if (!isSame(errorAt ?? null, result.errorAt ?? null)) {
    const cause = result.error instanceof Error ? ` (${result.error.message})` : ''
    return `error: expected ${atText(errorAt)}, got ${atText(result.errorAt)}${cause}`
  }
  if (errorAt === 'build') return undefined
  if (typeof errorAt === 'number') return membersDifference('outputs', outputsBefore(expect, errorAt), result.outputs)
  return (
    membersDifference('outputs', expect.outputs, result.outputs) ??
    membersDifference('stores', expect.stores, result.stores) ??
    (expect.queries === null ? undefined : valueDifference('queries', expect.queries, result.queries)) ??
    (expect.dropped === null ? undefined : valueDifference('dropped', expect.dropped, result.dropped))
  )
}

/** Only what earlier inputs caused is compared when an input stops the application. */
function outputsBefore(expect: Expectation, errorAt: number): JsonObject | null {
  if (expect.outputs === null) return null
  const kept = Object.entries(expect.outputs).map(([topic, records]) => [
    topic,
    isArray(records) ? records.filter((record) => isObject(record) && Number(memberOf(record, 'at')) < errorAt) : [],
  ])
  return Object.fromEntries(kept)
}

/** Compares topic by topic, or store by store; one that is expected to be null is left out. */
function membersDifference(
  part: string,
  expected: JsonObject | null,
  actual: Readonly<Record<string, Json>>,
): string | undefined {
  if (expected === null) return undefined
  for (const name of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const rows = Object.hasOwn(expected, name) ? memberOf(expected, name) : []
    if (rows === null) continue
    const difference = valueDifference(`${part} ${name}`, rows, actual[name] ?? [])
    if (difference !== undefined) return difference
  }
  return undefined
}

function valueDifference(where: string, expected: Json, actual: Json): string | undefined {
  if (isSame(expected, actual)) return undefined
  if (!isArray(expected) || !isArray(actual)) return `${where}: expected ${textOf(expected)}, got ${textOf(actual)}`
  const length = Math.max(expected.length, actual.length)
  for (let i = 0; i < length; i++) {
    const [one, other] = [expected[i], actual[i]]
    if (one === undefined) return `${where}[${i}]: expected nothing more, got ${textOf(other)}`
    if (other === undefined) return `${where}[${i}]: expected ${textOf(one)}, got nothing more`
    if (!isSame(one, other)) return `${where}[${i}]: expected ${textOf(one)}, got ${textOf(other)}`
  }
  return undefined
}

function textOf(value: Json | undefined): string {
  return JSON.stringify(value)
}

function atText(at: Json | undefined): string {
  if (at === undefined) return 'none'
  return at === 'build' ? 'at the build' : `at input ${at}`
}
