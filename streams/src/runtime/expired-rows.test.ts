import { expect, it } from 'vitest'
import { MemoryStore } from '../state/memory-store.ts'
import type { Change } from '../state/store.ts'
import { timestampedValue } from '../state/timestamped-value.ts'
import { windowRowKey, windowStartOfRow } from '../state/window-key.ts'
import { ExpiredRows } from './expired-rows.ts'
import { standbyExpiredRowsMax, standbyExpiryIntervalMs } from './limits.ts'

const always = Number.POSITIVE_INFINITY

function row(key: string, startMs: number, updatedMs = startMs): Change {
  return { key: windowRowKey(Buffer.from(key), startMs), value: timestampedValue(Buffer.from('1'), updatedMs) }
}

async function copyOf(changes: readonly Change[]) {
  const rows = new MemoryStore()
  await rows.write(changes, changes.length)
  return { rows, expired: new ExpiredRows(rows) }
}

it('are those of windows that start early enough, the last one included', async () => {
  const { expired } = await copyOf([row('a', 100_000), row('b', 200_000), row('c', 200_001)])
  const keys = await expired.next({ startMsMax: 200_000, updatedMsMax: always })
  expect(keys.map(windowStartOfRow)).toEqual([100_000, 200_000])
})

it('are none while nothing is known to be over, however far the newest row is ahead', async () => {
  const { expired } = await copyOf([row('open', 1_000), row('now', 10 ** 12)])
  expect(await expired.next(undefined)).toEqual([])
})

it('are not those of old windows that were updated lately', async () => {
  const { expired } = await copyOf([row('history', 1_000, 190_000), row('over', 1_000, 180_000)])
  const keys = await expired.next({ startMsMax: 200_000, updatedMsMax: 180_000 })
  expect(keys).toEqual([row('over', 1_000).key])
})

it('are looked for page by page, and again when time has moved on, of windows or of updates', async () => {
  const many = Array.from({ length: standbyExpiredRowsMax + 5 }, (_, index) => row(`k${index}`, 1_000))
  const { expired } = await copyOf(many)
  const over = { startMsMax: 100_000, updatedMsMax: 100_000 }
  expect(await expired.next(over)).toHaveLength(standbyExpiredRowsMax)
  expect(await expired.next(over)).toHaveLength(5)
  const soonMs = 100_000 + standbyExpiryIntervalMs - 1
  expect(await expired.next({ startMsMax: soonMs, updatedMsMax: soonMs })).toEqual([])
  expect(await expired.next({ startMsMax: soonMs + 1, updatedMsMax: soonMs })).toHaveLength(standbyExpiredRowsMax)
  expect(await expired.next(over)).toHaveLength(5)
  expect(await expired.next({ startMsMax: soonMs + 1, updatedMsMax: soonMs + 1 })).toEqual([])
  const laterMs = soonMs + standbyExpiryIntervalMs
  expect(await expired.next({ startMsMax: soonMs + 1, updatedMsMax: laterMs })).toHaveLength(standbyExpiredRowsMax)
})
