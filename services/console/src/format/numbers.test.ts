import { describe, expect, test } from 'vitest'
import { formatAxisNumber, formatBigCount, formatCount, formatRate, formatShare, formatValue } from './numbers.ts'

describe('numbers', () => {
  test.each([
    [0, '0'],
    [0.001, '<0.01'],
    [0.35, '0.35'],
    [9.876, '9.88'],
    [12.34, '12.3'],
    [4_210.4, '4,210'],
    [1_200_000, '1.20M'],
  ])('formatRate(%d) is %s', (rate, text) => expect(formatRate(rate)).toBe(text))

  test.each([
    [null, '–'],
    [0, '0'],
    [-3.11234, '-3.112'],
    [0.00012345, '0.0001235'],
    [0.0000123, '1.23E-5'],
    [123_456.78, '123,456.8'],
    [1.5e12, '1.5E12'],
  ])('formatValue(%s) is %s', (value, text) => expect(formatValue(value)).toBe(text))

  test('formatCount is never shortened, formatBigCount is', () => {
    expect(formatCount(1_234_567)).toBe('1,234,567')
    expect(formatBigCount(999_999)).toBe('999,999')
    expect(formatBigCount(1_234_567)).toBe('1.23M')
  })

  test('formatShare does not round a small share to nothing', () => {
    expect(formatShare(0.1253)).toBe('12.5%')
    expect(formatShare(0.0001)).toBe('<0.1%')
    expect(formatShare(0)).toBe('0%')
  })

  test('formatAxisNumber is short', () => {
    expect([0, 0.25, 1_500, 2e6, 1e15].map(formatAxisNumber)).toEqual(['0', '0.25', '1.5K', '2M', '1E15'])
  })
})
