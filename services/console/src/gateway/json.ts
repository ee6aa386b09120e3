import { ConsoleError } from './console-error.ts'

/** A JSON object whose members are not known yet. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Whether a parsed JSON value is an object (not null, not an array). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value as an object, or an error that names `where` it was expected. */
export function objectAt(value: unknown, where: string): JsonObject {
  if (isJsonObject(value)) return value
  throw unexpected(where, 'an object')
}

/** A member that must be text. */
export function textAt(object: JsonObject, name: string): string {
  const value = object[name]
  if (typeof value === 'string') return value
  throw unexpected(name, 'text')
}

/** A member that must be a finite number. */
export function numberAt(object: JsonObject, name: string): number {
  const value = object[name]
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw unexpected(name, 'a number')
}

/** A member that may be a number, null or absent. */
export function optionalNumberAt(object: JsonObject, name: string): number | null {
  const value = object[name]
  if (value === undefined || value === null) return null
  return numberAt(object, name)
}

/** A member that may be text, null or absent. */
export function optionalTextAt(object: JsonObject, name: string): string | null {
  const value = object[name]
  if (value === undefined || value === null) return null
  return textAt(object, name)
}

/** A member that must be a list. */
export function listAt(object: JsonObject, name: string): readonly unknown[] {
  const value: unknown = object[name]
  if (Array.isArray(value)) return value
  throw unexpected(name, 'a list')
}

function unexpected(where: string, wanted: string): ConsoleError {
  return new ConsoleError('bad_answer', `The gateway's answer has no valid "${where}": ${wanted} was expected.`)
}
