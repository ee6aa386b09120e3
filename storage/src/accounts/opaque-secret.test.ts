import { expect, it } from 'vitest'
import {
  formatApiKey,
  formatRefreshToken,
  hashSecret,
  makeApiKey,
  makeRefreshToken,
  parseApiKey,
  parseRefreshToken,
  secretMatches,
} from './opaque-secret.ts'

it('makes API keys that are read back, each different', () => {
  const keys = Array.from({ length: 200 }, makeApiKey)
  for (const key of keys) expect(parseApiKey(formatApiKey(key))).toEqual(key)
  expect(new Set(keys.map(({ id }) => id)).size).toBe(200)
  expect(new Set(keys.map(({ secret }) => secret)).size).toBe(200)
})

it('makes refresh tokens of 256 secret bits; the next one of a session keeps its id', () => {
  const first = makeRefreshToken()
  const next = makeRefreshToken(first.id)
  expect(parseRefreshToken(formatRefreshToken(first))).toEqual(first)
  expect(next.id).toBe(first.id)
  expect(next.secret).not.toBe(first.secret)
  expect(Buffer.from(first.secret, 'base64url')).toHaveLength(32)
})

it('knows a secret by its hash only', () => {
  const { secret } = makeApiKey()
  expect(hashSecret(secret)).toMatch(/^[0-9a-f]{64}$/)
  expect(secretMatches(secret, hashSecret(secret))).toBe(true)
  expect(secretMatches(`${secret.slice(1)}A`, hashSecret(secret))).toBe(false)
  expect(secretMatches(secret, '')).toBe(false)
})

it.each([
  '',
  'mk_',
  `mk_${'a'.repeat(16)}`,
  `mk_${'a'.repeat(16)}_${'b'.repeat(42)}`,
  `mk_${'a'.repeat(16)}_${'b'.repeat(44)}`,
  `mk_${'A'.repeat(16)}_${'b'.repeat(43)}`,
  `mk_${'a'.repeat(16)}_${'b'.repeat(42)}\n`,
  ` mk_${'a'.repeat(16)}_${'b'.repeat(43)}`,
  `mr_${'a'.repeat(16)}_${'b'.repeat(43)}`,
])('does not take %j for an API key', (text) => {
  expect(parseApiKey(text)).toBeUndefined()
})

it.each([
  '',
  `mr_${'a'.repeat(22)}`,
  `mk_${'a'.repeat(22)}_${'b'.repeat(43)}`,
  `mr_${'a'.repeat(21)}%_${'b'.repeat(43)}`,
])('does not take %j for a refresh token', (text) => {
  expect(parseRefreshToken(text)).toBeUndefined()
})
