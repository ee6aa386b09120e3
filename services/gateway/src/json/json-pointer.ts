/** One more step of a JSON pointer (RFC 6901), with `~` and `/` escaped. */
export function pointerStep(key: string | number): string {
  return typeof key === 'number' ? `/${key}` : `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
