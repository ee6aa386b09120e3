import type { TopologyDriver } from '@millrace/streams/testing'
import { CaseError } from './case-error.ts'
import { type CaseKey, plainKey } from './case-serdes.ts'
import type { CaseTopology } from './case-topology.ts'
import type { Fields } from './fields.ts'
import { isObject, type Json, memberOf } from './json.ts'

/** All rows of a named store, sorted by the bytes of the key, then by window. */
export async function storeRows(driver: TopologyDriver, of: CaseTopology, store: string): Promise<readonly Json[]> {
  const spec = of.stores.get(store)
  if (spec === undefined) throw new CaseError(`there is no store "${store}"`)
  const { windowSizeMs } = spec
  const rows = await driver.rows(store)
  return rows
    .map(({ key, windowStartMs, value, timestamp }) => ({
      // What the store's serdes read: keys and values of cases.
      key: windowed(plainKey(key as CaseKey), windowStartMs, windowSizeMs),
      value: value as Json,
      ts: timestamp,
    }))
    .sort((one, other) => compareKeys(one.key, other.key))
}

/** The rows that a query gives. */
export async function queryRows(driver: TopologyDriver, of: CaseTopology, query: Fields): Promise<readonly Json[]> {
  const rows = await storeRows(driver, of, query.text('store'))
  const op = query.text('op')
  switch (op) {
    case 'all':
      return rows
    case 'get': {
      const key = query.text('key')
      return rows.filter((row) => keyOf(row) === key)
    }
    case 'range': {
      const [from, to] = [query.text('from'), query.text('to')]
      return rows.filter((row) => isWithin(keyOf(row), from, to))
    }
    case 'fetch': {
      const key = query.text('key')
      return withinWindows(rows, query)
        .filter((row) => memberOfKey(row, 'key') === key)
        .map((row) => ({ start: memberOfKey(row, 'start'), value: partOf(row, 'value'), ts: partOf(row, 'ts') }))
    }
    case 'fetchAll':
      return withinWindows(rows, query)
    default:
      throw new CaseError(`${query.where}: the query "${op}" is not known`)
  }
}

function windowed(key: Json, startMs: number | undefined, sizeMs: number | undefined): Json {
  return startMs === undefined || sizeMs === undefined ? key : { key, start: startMs, end: startMs + sizeMs }
}

function withinWindows(rows: readonly Json[], query: Fields): readonly Json[] {
  const [from, to] = [query.number('from'), query.number('to')]
  return rows.filter((row) => {
    const start = memberOfKey(row, 'start')
    return typeof start === 'number' && start >= from && start <= to
  })
}

function isWithin(key: Json, from: string, to: string): boolean {
  return typeof key === 'string' && compareTexts(key, from) >= 0 && compareTexts(key, to) <= 0
}

function compareKeys(one: Json, other: Json): number {
  if (isObject(one) && isObject(other))
    return (
      compareKeys(memberOf(one, 'key'), memberOf(other, 'key')) ||
      Number(memberOf(one, 'start')) - Number(memberOf(other, 'start')) ||
      Number(memberOf(one, 'end')) - Number(memberOf(other, 'end'))
    )
  return compareTexts(String(one), String(other))
}

/** By UTF-8 bytes, which is not how JavaScript compares texts. */
function compareTexts(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}

function keyOf(row: Json): Json {
  return partOf(row, 'key')
}

function memberOfKey(row: Json, name: string): Json {
  const key = keyOf(row)
  return isObject(key) ? memberOf(key, name) : null
}

function partOf(row: Json, name: string): Json {
  return isObject(row) ? memberOf(row, name) : null
}
