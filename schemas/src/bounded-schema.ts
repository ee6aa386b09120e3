/** Types of Avro without a byte of their own. */
const emptyType = 'null'

/**
 * Throws an `Error` when a writer's schema (parsed JSON) has an array whose items may take no bytes: five bytes then claim a thousand million of them, and whoever skips them
 * one by one is busy for minutes. Every other type is bounded by the length of its record.
 */
export function requireBounded(schema: unknown): void {
  visit(schema, new Map())
}

/** True when every value of the type takes at least one byte. `named` has the types so far; one within itself counts as none. */
function visit(schema: unknown, named: Map<string, boolean>): boolean {
  if (typeof schema === 'string') return schema !== emptyType && (named.get(schema) ?? true)
  if (Array.isArray(schema)) {
    for (const branch of schema) visit(branch, named)
    // Which branch it is takes a byte.
    return true
  }
  if (typeof schema !== 'object' || schema === null) return true
  const { type, name, namespace, fields, items, values, size } = { ...schema } as Record<string, unknown>
  const names = typeof name !== 'string' ? [] : typeof namespace === 'string' ? [name, `${namespace}.${name}`] : [name]
  const define = (takesBytes: boolean) => {
    for (const each of names) named.set(each, takesBytes)
    return takesBytes
  }
  if (type === 'array') {
    if (!visit(items, named)) throw new Error('an array has items without bytes')
    return true
  }
  if (type === 'map') {
    visit(values, named)
    return true
  }
  if (type === 'fixed') return define(size !== 0)
  if (type === 'enum') return define(true)
  if (Array.isArray(fields)) {
    define(false)
    let takesBytes = false
    for (const field of fields) {
      const isField = typeof field === 'object' && field !== null && 'type' in field
      if (isField && visit(field.type, named)) takesBytes = true
    }
    return define(takesBytes)
  }
  return visit(type, named)
}
