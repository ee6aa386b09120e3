import fc from 'fast-check'
import { expect, it } from 'vitest'
import { dayOf, isDay } from './calendar-day.ts'

it('a day is one that Date knows by the same name', () => {
  const known = (text: string) => {
    const ms = Date.parse(`${text}T00:00:00Z`)
    return !Number.isNaN(ms) && dayOf(ms) === text
  }
  for (let ms = Date.UTC(1896, 0, 1); ms < Date.UTC(2001, 0, 1); ms += 86_400_000) expect(isDay(dayOf(ms))).toBe(true)
  const two = fc.integer({ min: 0, max: 33 }).map((number) => String(number).padStart(2, '0'))
  const year = fc.integer({ min: 0, max: 9_999 }).map((number) => String(number).padStart(4, '0'))
  fc.assert(
    fc.property(year, two, two, (y, m, d) => {
      expect([y, m, d, isDay(`${y}-${m}-${d}`)]).toEqual([y, m, d, known(`${y}-${m}-${d}`)])
    }),
  )
})

it.each(['', '2024-2-29', '2024/02/29', '2024-02-2a', '+024-02-29', '2024-02-29T', '12024-02-29', '2024-02-30'])(
  '%j is no day',
  (text) => {
    expect(isDay(text)).toBe(false)
  },
)
