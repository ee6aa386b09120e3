import { CaseError } from './case-error.ts'
import { isArray, isObject, isSame, type Json, type JsonObject, memberOf, textOf } from './json.ts'

/** What an expression sees; parts that do not apply are null. */
export interface Scope {
  readonly key: Json
  readonly value: Json
  readonly left: Json
  readonly right: Json
  readonly item: Json
}

/** A compiled expression; evaluating it never fails. */
export type Expression = (scope: Scope) => Json

/** What an expression sees of a record. */
export function scopeOf(key: Json, value: Json, item: Json = null): Scope {
  return { key, value, left: null, right: null, item }
}

/** Compiles an expression. Throws `CaseError` for one that is unknown. */
export function expression(json: Json): Expression {
  if (typeof json === 'string') return path(json)
  if (!isObject(json)) return () => json
  const [operator, ...others] = Object.keys(json)
  if (operator === undefined || others.length > 0)
    throw new CaseError(`an expression has one operator, not ${JSON.stringify(json)}`)
  return operation(operator, memberOf(json, operator))
}

/** Compiles a condition: only true is true. */
export function condition(json: Json): (scope: Scope) => boolean {
  const evaluate = expression(json)
  return (scope) => evaluate(scope) === true
}

/** Compiles an expression for a key: its text, or null. */
export function keyExpression(json: Json): (scope: Scope) => string | null {
  const evaluate = expression(json)
  return (scope) => {
    const key = evaluate(scope)
    return key === null ? null : textOf(key)
  }
}

function path(text: string): Expression {
  const [root, ...members] = text.split('.')
  if (root !== 'key' && root !== 'value' && root !== 'left' && root !== 'right' && root !== 'item')
    throw new CaseError(`a path begins with key, value, left, right or item, not "${text}"`)
  return (scope) =>
    members.reduce<Json>((value, member) => (isObject(value) ? memberOf(value, member) : null), scope[root])
}

function operation(operator: string, operand: Json): Expression {
  switch (operator) {
    case 'const':
      return () => operand
    case 'object':
      return object(operand)
    case 'not': {
      const of = condition(operand)
      return (scope) => !of(scope)
    }
    case 'isNull': {
      const of = expression(operand)
      return (scope) => of(scope) === null
    }
    case 'and': {
      const conditions = listOf(operator, operand).map(condition)
      return (scope) => conditions.every((holds) => holds(scope))
    }
    case 'or': {
      const conditions = listOf(operator, operand).map(condition)
      return (scope) => conditions.some((holds) => holds(scope))
    }
    default:
      return operationOnList(operator, listOf(operator, operand))
  }
}

function operationOnList(operator: string, operands: readonly Json[]): Expression {
  const parts = operands.map(expression)
  switch (operator) {
    case 'array':
      return (scope) => parts.map((part) => part(scope))
    case 'concat':
      return (scope) => parts.map((part) => textOf(part(scope))).join('')
    case 'if': {
      const [test, yes, no] = exactly(3, operator, parts)
      return (scope) => (test?.(scope) === true ? (yes?.(scope) ?? null) : (no?.(scope) ?? null))
    }
    case 'eq':
      return pair(operator, parts, (a, b) => isSame(a, b))
    case 'split':
      return pair(operator, parts, (a, b) => (typeof a === 'string' && typeof b === 'string' ? a.split(b) : null))
    case 'add':
      return pair(operator, parts, (a, b) => arithmetic(a, b, (x, y) => x + y))
    case 'mul':
      return pair(operator, parts, (a, b) => arithmetic(a, b, (x, y) => x * y))
    case 'mod':
      return pair(operator, parts, (a, b) => arithmetic(a, b, (x, y) => x % y))
    case 'gt':
      return pair(operator, parts, (a, b) => areNumbers(a, b) && Number(a) > Number(b))
    case 'ge':
      return pair(operator, parts, (a, b) => areNumbers(a, b) && Number(a) >= Number(b))
    case 'lt':
      return pair(operator, parts, (a, b) => areNumbers(a, b) && Number(a) < Number(b))
    case 'le':
      return pair(operator, parts, (a, b) => areNumbers(a, b) && Number(a) <= Number(b))
    default:
      throw new CaseError(`the operator "${operator}" of an expression is not known`)
  }
}

function object(operand: Json): Expression {
  if (!isObject(operand)) throw new CaseError('the operator "object" takes an object')
  const members: JsonObject = operand
  const parts = Object.keys(members).map((name) => [name, expression(memberOf(members, name))] as const)
  return (scope) => Object.fromEntries(parts.map(([name, part]) => [name, part(scope)]))
}

function pair(operator: string, parts: readonly Expression[], combine: (a: Json, b: Json) => Json): Expression {
  const [first, second] = exactly(2, operator, parts)
  return (scope) => combine(first?.(scope) ?? null, second?.(scope) ?? null)
}

function arithmetic(a: Json, b: Json, combine: (x: number, y: number) => number): Json {
  return typeof a === 'number' && typeof b === 'number' ? combine(a, b) : null
}

function areNumbers(a: Json, b: Json): boolean {
  return typeof a === 'number' && typeof b === 'number'
}

function listOf(operator: string, operand: Json): readonly Json[] {
  if (!isArray(operand)) throw new CaseError(`the operator "${operator}" takes an array`)
  return operand
}

function exactly(count: number, operator: string, parts: readonly Expression[]): readonly Expression[] {
  if (parts.length !== count)
    throw new CaseError(`the operator "${operator}" takes ${count} operands, not ${parts.length}`)
  return parts
}
