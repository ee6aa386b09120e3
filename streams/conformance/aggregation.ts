import { json, nullable, type ReversibleAggregator } from '@millrace/streams'
import { CaseError } from './case-error.ts'
import { type Expression, expression, scopeOf } from './expression.ts'
import { isArray, isObject, isSame, type Json, type JsonObject, memberOf, textOf } from './json.ts'

/** How the case language spells what an aggregation does with each value. */
interface Steps {
  readonly init: Json
  add(aggregate: Json, x: Json): Json
  subtract(aggregate: Json, x: Json): Json
}

/** The aggregator that a case names: `{"type","of"?,"init"?}`. Aggregates are never changed in place. */
export function aggregatorOf(of: JsonObject): ReversibleAggregator<Json, Json> {
  const select: Expression = expression(Object.hasOwn(of, 'of') ? memberOf(of, 'of') : 'value')
  const type = textOf(memberOf(of, 'type'))
  const steps = stepsOf(type, of)
  // An aggregator is shown values only; a case whose `of` reads the key is told apart before it comes here.
  return {
    name: type,
    version: 1,
    init: () => steps.init,
    add: (aggregate, value) => steps.add(aggregate, select(scopeOf(null, value))),
    subtract: (aggregate, value) => steps.subtract(aggregate, select(scopeOf(null, value))),
    result: (aggregate) => aggregate,
    serde: nullable(json<Json>()),
  }
}

/** The reducer that a case names. */
export function reducerOf(name: Json): (row: Json, value: Json) => Json {
  switch (name) {
    case 'first':
      return (row) => row
    case 'last':
      return (_, value) => value
    case 'concat':
      return (row, value) => `${textOf(row)}+${textOf(value)}`
    case 'sum':
      return numbers((row, value) => row + value)
    case 'min':
      return numbers(Math.min)
    case 'max':
      return numbers(Math.max)
    default:
      throw new CaseError(`the reducer ${JSON.stringify(name)} is not known`)
  }
}

/** The opposite of a reducer, for tables. */
export function subtractorOf(name: Json): (row: Json, value: Json) => Json {
  switch (name) {
    case 'concat':
      return (row, value) => `${textOf(row)}-${textOf(value)}`
    case 'sum':
      return (row, value) => (typeof row === 'number' && typeof value === 'number' ? row - value : row)
    default:
      return () => {
        throw new CaseError(`the reducer ${JSON.stringify(name)} cannot subtract`)
      }
  }
}

function numbers(combine: (row: number, value: number) => number): (row: Json, value: Json) => Json {
  return (row, value) => (typeof row === 'number' && typeof value === 'number' ? combine(row, value) : value)
}

function stepsOf(type: string, of: JsonObject): Steps {
  switch (type) {
    case 'sum':
      return onNumbers(
        0,
        (sum, x) => numberOf(sum) + x,
        (sum, x) => numberOf(sum) - x,
      )
    case 'avg':
      return onNumbers(
        { n: 0, sum: 0 },
        (mean, x) => averaged(mean, 1, x),
        (mean, x) => averaged(mean, -1, -x),
      )
    case 'min':
      return onNumbers(null, (least, x) => (least === null ? x : Math.min(numberOf(least), x)), cannotSubtract)
    case 'max':
      return onNumbers(null, (most, x) => (most === null ? x : Math.max(numberOf(most), x)), cannotSubtract)
    case 'collect':
      return { init: [], add: (list, x) => [...itemsOf(list), x], subtract: without }
    case 'text': {
      const init = Object.hasOwn(of, 'init') ? memberOf(of, 'init') : '0'
      return {
        init,
        add: (text, x) => `${textOf(text)}+${textOf(x)}`,
        subtract: (text, x) => `${textOf(text)}-${textOf(x)}`,
      }
    }
    case 'last':
      return { init: null, add: (_, x) => x, subtract: cannotSubtract }
    default:
      throw new CaseError(`the aggregator "${type}" is not known`)
  }
}

/** Steps that leave the aggregate alone unless x is a number. */
function onNumbers(
  init: Json,
  add: (aggregate: Json, x: number) => Json,
  subtract: (aggregate: Json, x: number) => Json,
): Steps {
  return {
    init,
    add: (aggregate, x) => (typeof x === 'number' ? add(aggregate, x) : aggregate),
    subtract: (aggregate, x) => (typeof x === 'number' ? subtract(aggregate, x) : aggregate),
  }
}

function averaged(mean: Json, n: number, sum: number): Json {
  if (!isObject(mean)) throw new CaseError('an average is kept as an object')
  return { n: numberOf(memberOf(mean, 'n')) + n, sum: numberOf(memberOf(mean, 'sum')) + sum }
}

function without(list: Json, x: Json): Json {
  const items = itemsOf(list)
  const at = items.findIndex((item) => isSame(item, x))
  return at < 0 ? items : items.toSpliced(at, 1)
}

function cannotSubtract(): never {
  throw new CaseError('this aggregator cannot subtract')
}

function itemsOf(list: Json): readonly Json[] {
  return isArray(list) ? list : []
}

function numberOf(value: Json): number {
  return typeof value === 'number' ? value : 0
}
