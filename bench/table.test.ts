import { describe, expect, it } from 'vitest'
import { numberText, ratioText, textTable } from './table.ts'

describe('textTable', () => {
  it('lines columns up, the first to the left and the others to the right', () => {
    expect(
      textTable(
        ['job', 'ours'],
        [
          ['by-type', '1.66'],
          ['x', '301,656'],
        ],
      ),
    ).toBe(['job         ours', '────────────────', 'by-type     1.66', 'x        301,656'].join('\n'))
  })
})

describe('numberText', () => {
  it.each([
    [0.6937, '0.69'],
    [7.754, '7.75'],
    [31.45, '31.5'],
    [682_377.4, '682,377'],
    [null, '–'],
  ])('%s as %s', (value, text) => {
    expect(numberText(value)).toBe(text)
  })

  it('marks ratios', () => {
    expect(ratioText(10.47)).toBe('10.5×')
    expect(ratioText(null)).toBe('–')
  })
})
