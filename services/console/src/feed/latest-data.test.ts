import { describe, expect, test } from 'vitest'
import { type Interval, intervalSpecs } from '../stats/interval.ts'
import type { StatsWindow } from '../stats/stats-window.ts'
import { windowOf } from '../stats/testing-windows.ts'
import { findLatestStartMs } from './latest-data.ts'

const nowMs = Date.UTC(2026, 10, 21, 10)
const signal = new AbortController().signal

/** A gateway whose events happened at these times, with windows of each of these intervals. */
function gatewayWith(eventTimesMs: readonly number[], kept: readonly Interval[] = ['10s', '1m', '5m', '1h', '1d']) {
  const asked: Interval[] = []
  return {
    asked,
    fetchStats({
      interval,
      range,
    }: {
      interval: Interval
      range: { fromMs: number; toMs: number }
    }): Promise<StatsWindow[]> {
      asked.push(interval)
      const { windowMs } = intervalSpecs[interval]
      const starts = kept.includes(interval) ? eventTimesMs.map((ms) => Math.floor(ms / windowMs) * windowMs) : []
      const within = starts.filter((startMs) => startMs >= range.fromMs && startMs < range.toMs)
      return Promise.resolve(within.map((startMs) => windowOf('a', startMs, { interval })))
    },
  }
}

describe('findLatestStartMs', () => {
  const eventMs = Date.UTC(2001, 2, 14, 13, 20, 17)

  test('finds the newest window of history, whatever its interval', async () => {
    const client = gatewayWith([eventMs, eventMs - 86_400_000, Date.UTC(1999, 0, 1)])
    const found = (interval: Interval) => findLatestStartMs({ client, interval, nowMs }, signal)
    expect(await found('10s')).toBe(Date.UTC(2001, 2, 14, 13, 20, 10))
    expect(await found('1m')).toBe(Date.UTC(2001, 2, 14, 13, 20))
    expect(await found('5m')).toBe(Date.UTC(2001, 2, 14, 13, 20))
    expect(await found('1h')).toBe(Date.UTC(2001, 2, 14, 13))
    expect(await found('1d')).toBe(Date.UTC(2001, 2, 14))
  })

  test('asks little when the data is recent', async () => {
    const client = gatewayWith([nowMs - 1_000])
    expect(await findLatestStartMs({ client, interval: '10s', nowMs }, signal)).toBe(nowMs - 10_000)
    expect(client.asked).toEqual(['1d', '1h', '1m', '10s'])
  })

  test('finds nothing where there is nothing', async () => {
    const client = gatewayWith([])
    expect(await findLatestStartMs({ client, interval: '10s', nowMs }, signal)).toBeNull()
    expect(new Set(client.asked)).toEqual(new Set(['1d']))
  })

  test('comes as near as the coarser windows allow when finer ones are gone', async () => {
    const client = gatewayWith([eventMs], ['1h', '1d'])
    expect(await findLatestStartMs({ client, interval: '10s', nowMs }, signal)).toBe(Date.UTC(2001, 2, 14, 13))
  })
})
