import fc from 'fast-check'
import { expect, test } from 'vitest'
import { intervals } from '../stats/interval.ts'
import { rangeEnds } from '../stats/shown-range.ts'
import { defaultSettings, formatSettings, parseSettings } from './live-settings.ts'

test('the defaults leave the address alone', () => {
  expect(formatSettings(defaultSettings)).toBe('')
  expect(parseSettings('')).toEqual(defaultSettings)
})

test('settings survive the address, whatever the type is called', () => {
  const settings = fc.record({
    interval: fc.constantFrom(...intervals),
    end: fc.constantFrom(...rangeEnds),
    eventType: fc.option(fc.string({ minLength: 1, unit: 'grapheme' })),
  })
  fc.assert(
    fc.property(settings, (chosen) => {
      expect(parseSettings(formatSettings(chosen))).toEqual(chosen)
    }),
  )
})

test('what the address names wrongly is the default', () => {
  expect(parseSettings('#interval=2m&end=then&type=')).toEqual(defaultSettings)
})
