import { describe, expect, it } from 'vitest'
import { leadIdentity } from './lead-identity.ts'

const of = (email: string, source: string | null = 'web') => leadIdentity({ email, source })

describe('the identity of a lead', () => {
  it('is that of the address, however it is written', () => {
    expect(of('Zoë@Example.org')).toBe(of(' zoe\u0308@example.ORG '))
  })

  it.each([
    ['another address', of('a@example.org'), of('b@example.org')],
    ['another source', of('a@example.org', 'web'), of('a@example.org', 'fair')],
    ['a source in other letters', of('a@example.org', 'web'), of('a@example.org', 'Web')],
    ['no accent', of('zoë@example.org'), of('zoe@example.org')],
    ['a tag', of('a@example.org'), of('a+b@example.org')],
  ])('differs with %s', (_, one, other) => {
    expect(one).not.toBe(other)
  })

  it('is the same for no source and an empty one, and never changes from one version to the next', () => {
    expect(of('a@example.org', null)).toBe(of('a@example.org', ''))
    expect(of('a@example.org')).toBe('4dloE2lZ0Nc088n2M3uWvX')
  })
})
