import { type SQL, sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { leadConditionsMax, leadConditionValuesMax } from './limits.ts'
import { leads } from './schema.ts'

/** How an attribute is compared. */
export const leadOperators = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'prefix'] as const
export type LeadOperator = (typeof leadOperators)[number]

/**
 * What an attribute of a lead must be. Only values of the condition's own JSON type meet it: an attribute that is missing, null or of another type meets
 * none, `ne` included. Texts are compared with case; their order is that of dates and plain ASCII. `in` takes several values, the others one; `prefix` is for texts, and booleans
 * know `eq` and `ne`.
 */
export type LeadCondition = { readonly attribute: string; readonly operator: LeadOperator } & (
  | { readonly type: 'text'; readonly values: readonly string[] }
  | { readonly type: 'number'; readonly values: readonly number[] }
  | { readonly type: 'boolean'; readonly values: readonly boolean[] }
)

/** Names that stand in a JSON path as they are. */
const attributePattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

const comparisons = { eq: sql`=`, ne: sql`<>`, gt: sql`>`, gte: sql`>=`, lt: sql`<`, lte: sql`<=` } as const

/** The conditions in SQL that MySQL 8.4 and MariaDB 11.4 both know; every value and path is bound. Throws `INVALID_QUERY`. */
export function whereAttributes(conditions: readonly LeadCondition[]): SQL[] {
  if (conditions.length > leadConditionsMax) {
    throw new StorageError('INVALID_QUERY', `a listing takes at most ${leadConditionsMax} conditions on attributes`)
  }
  return conditions.map(toSql)
}

function toSql(condition: LeadCondition): SQL {
  const { attribute, operator, values } = condition
  if (!attributePattern.test(attribute)) throw new StorageError('INVALID_QUERY', 'no attribute can have this name')
  const count = values.length
  if (operator === 'in' ? count < 1 || count > leadConditionValuesMax : count !== 1) {
    throw new StorageError('INVALID_QUERY', `"${operator}" does not take ${count} values`)
  }
  const value = sql`JSON_EXTRACT(${leads.attributes}, ${`$."${attribute}"`})`
  // The value's JSON text, as bytes: MariaDB's JSON_UNQUOTE loses characters beyond the basic plane, and every collation that both servers have ignores case or trailing spaces.
  const text = sql`CAST(CAST(${value} AS CHAR) AS BINARY)`
  switch (condition.type) {
    case 'text':
      return sql`(LEFT(${text}, 1) = ${'"'} AND ${compareTexts(text, operator, condition.values)})`
    case 'number': {
      const isNumber = sql`JSON_TYPE(${value}) IN ('INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL')`
      return sql`(${isNumber} AND ${compare(sql`CAST(${text} AS DOUBLE)`, operator, condition.values.map(finite))})`
    }
    case 'boolean': {
      if (operator !== 'eq' && operator !== 'ne') throw unfit(operator, condition.type)
      const [wanted] = condition.values
      return sql`${text} = ${bytes(String(operator === 'eq' ? wanted : !wanted))}`
    }
  }
}

/** JSON.stringify wrote what is stored: equal texts have equal JSON, and the JSON of a prefix is a prefix. */
function compareTexts(text: SQL, operator: LeadOperator, values: readonly string[]): SQL {
  if (operator !== 'prefix')
    return compare(
      text,
      operator,
      values.map((value) => bytes(JSON.stringify(value))),
    )
  const prefix = JSON.stringify(values[0]).slice(0, -1)
  return sql`LEFT(${text}, ${Buffer.byteLength(prefix)}) = ${bytes(prefix)}`
}

function compare(value: SQL, operator: LeadOperator, wanted: readonly SQL[]): SQL {
  if (operator === 'prefix') throw unfit(operator, 'number')
  return operator === 'in' ? sql`${value} IN ${wanted}` : sql`${value} ${comparisons[operator]} ${wanted[0]}`
}

function bytes(text: string): SQL {
  return sql`CAST(${text} AS BINARY)`
}

function finite(value: number): SQL {
  if (!Number.isFinite(value)) throw new StorageError('INVALID_QUERY', 'a number of a condition must be finite')
  return sql`CAST(${String(value)} AS DOUBLE)`
}

function unfit(operator: LeadOperator, type: LeadCondition['type']): StorageError {
  return new StorageError('INVALID_QUERY', `"${operator}" is not for attributes of type ${type}`)
}
