import type { ApiSchema } from './api-document.ts'

/** Their values are data, whatever they look like. */
const dataKeywords: readonly string[] = ['enum', 'const', 'default', 'example', 'examples', 'value']

/**
 * Replaces every schema below `parts` that has a title by a reference, and answers the schemas by their titles. Throws when two of one title differ:
 * in a client that is made of the document they would be one type.
 */
export function hoistTitledSchemas(parts: object): Record<string, ApiSchema> {
  const schemas: Record<string, ApiSchema> = {}
  for (const value of Object.values(parts)) hoist(value, schemas)
  return Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The node with everything titled below it replaced; a reference when it has a title itself. */
function hoist(node: unknown, schemas: Record<string, ApiSchema>): unknown {
  if (Array.isArray(node)) {
    for (const [i, value] of node.entries()) node[i] = hoist(value, schemas)
    return node
  }
  if (!isRecord(node)) return node
  for (const [key, value] of Object.entries(node)) {
    if (!dataKeywords.includes(key)) node[key] = hoist(value, schemas)
  }
  addType(node)
  const { title } = node
  if (typeof title !== 'string') return node
  // Both are of the place where the schema stands: answers of several statuses share one.
  delete node.examples
  delete node.description
  const known = schemas[title]
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(node)) {
    throw new Error(`two schemas have the title "${title}" and are not the same`)
  }
  schemas[title] = node
  return { $ref: `#/components/schemas/${title}` }
}

/** Generators of clients want to hear the type of a list of texts, which validators need not. */
function addType(schema: ApiSchema): void {
  const { enum: values, type } = schema
  if (type !== undefined || !Array.isArray(values)) return
  if (values.every((value) => typeof value === 'string')) schema.type = 'string'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
