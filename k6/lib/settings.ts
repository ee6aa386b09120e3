/**
 * What the scripts take from the environment, each with its default: `k6 run -e RATE=200 k6/events.ts`. An option that is not a number, or out of its
 * bounds, ends k6 before it has sent anything. docs/load-tests.md lists every variable, and a test keeps that list complete.
 */

/** A text. */
export function textSetting(name: string, fallback: string): string {
  const text = __ENV[name]
  return text === undefined || text === '' ? fallback : text
}

/** A whole number within bounds. */
export function numberSetting(name: string, { fallback, min, max }: NumberBounds): number {
  const text = textSetting(name, String(fallback))
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new Error(`${name} must be a whole number from ${min} to ${max}, not "${text}"`)
}

/** The bounds of a number, and what it is when nobody says. */
export interface NumberBounds {
  readonly fallback: number
  readonly min: number
  readonly max: number
}

/** A duration as k6 writes them: `90s`, `2m30s`, `1h`. */
export function durationSetting(name: string, fallback: string): string {
  const text = textSetting(name, fallback)
  if (/^(\d+h)?(\d+m)?(\d+s)?$/.test(text) && text !== '') return text
  throw new Error(`${name} must be a duration such as 90s, 2m30s or 1h, not "${text}"`)
}

/** Where the gateway is, without a slash at the end. */
export const gatewayUrl = textSetting('MILLRACE_GATEWAY_URL', 'http://127.0.0.1:8080').replace(/\/+$/, '')
