/**
 * The JSON text of a parsed value with the keys of every object in the order of their UTF-16 units and without white space, as RFC 8785
 * wants it: equal values have equal texts, however they were written. The value must come from JSON, not nested deeper than the stack holds.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`
}
