import { expect, it } from 'vitest'
import { LeadBodies } from './lead-bodies.ts'

it('makes leads of different people, in one form', () => {
  const bodies = new LeadBodies('r1')
  const parsed = bodies
    .lines(5_000)
    .toString()
    .split('\n')
    .map((line) => JSON.parse(line) as { email: string })
  expect(parsed).toHaveLength(5_000)
  expect(new Set(parsed.map(({ email }) => email)).size).toBe(5_000)
  expect(parsed[0]).toMatchObject({ first_name: 'Ada', source: 'web', consent: true })
  expect(bodies.made).toBe(5_000)
  expect(JSON.parse(bodies.one())).not.toEqual(parsed[4_999])
})
