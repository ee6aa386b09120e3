import type { ConformanceCase } from './case-format.ts'
import type { Fields } from './fields.ts'
import { isArray, isObject, type Json, memberOf } from './json.ts'

/** The operators of a case that the library does not have, each once; empty when it has all of them. */
export function unsupportedOf(of: ConformanceCase): readonly string[] {
  return [...new Set(of.topology.map(unsupportedNode).filter((name) => name !== undefined))]
}

function unsupportedNode(node: Fields): string | undefined {
  const op = node.text('op')
  switch (op) {
    case 'globalTable':
    case 'punctuate':
      return op
    case 'join':
      return `join ${node.text('type')}`
    case 'table':
      return node.has('versioned') ? 'versioned table' : undefined
    case 'windowedBy': {
      const type = node.fields('window').text('type')
      return type === 'sliding' || type === 'session' ? `${type} windows` : undefined
    }
    case 'aggregate':
      return readsKey(memberOf(node.object('agg'), 'of')) ? 'aggregate of the key' : undefined
    default:
      return undefined
  }
}

/** Whether an expression reads the key, which aggregators are not shown. */
function readsKey(expression: Json): boolean {
  if (typeof expression === 'string') return expression === 'key' || expression.startsWith('key.')
  if (isArray(expression)) return expression.some(readsKey)
  if (!isObject(expression)) return false
  return Object.entries(expression).some(([operator, operand]) => operator !== 'const' && readsKeyIn(operator, operand))
}

function readsKeyIn(operator: string, operand: Json): boolean {
  return operator === 'object' && isObject(operand) ? Object.values(operand).some(readsKey) : readsKey(operand)
}
