/** A JSON value, as records carry them. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  readonly [member: string]: Json
}

/** Tells objects from arrays and all else. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Tells arrays from all else. */
export function isArray(value: unknown): value is readonly Json[] {
  return Array.isArray(value)
}

/** An object's own member; null when it has none. */
export function memberOf(object: JsonObject, name: string): Json {
  return Object.hasOwn(object, name) ? (object[name] ?? null) : null
}

/** A text as it is, anything else as its JSON text. */
export function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Deep equality; the order of members does not matter. */
export function isSame(one: Json, other: Json): boolean {
  if (one === other) return true
  if (isArray(one) && isArray(other))
    return one.length === other.length && one.every((item, i) => isSame(item, other[i] ?? null))
  if (!isObject(one) || !isObject(other)) return false
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(memberOf(one, name), memberOf(other, name)))
  )
}
