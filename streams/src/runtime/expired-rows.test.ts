import { expect, it } from 'vitest'
import { MemoryStore } from '../state/memory-store.ts'
import type { Change } from '../state/store.ts'
import { timestampedValue } from '../state/timestamped-value.ts'
import { windowRowKey, windowStartOfRow } from '../state/window-key.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { ExpiredRows } from './expired-rows.ts'
import { changelogRetentionExtraMs, standbyExpiredRowsMax } from './limits.ts'

const retentionMs = 100_000
const dayMs = changelogRetentionExtraMs
const windows: StoreSpec = {
  name: 'windows',
  kind: 'window',
  timestamped: true,
  windowSizeMs: 1_000,
  retentionMs,
  changelog: true,
}

function row(key: string, startMs: number, updatedMs = startMs): Change {
  return { key: windowRowKey(Buffer.from(key), startMs), value: timestampedValue(Buffer.from('1'), updatedMs) }
}

async function copyOf(changes: readonly Change[], spec = windows) {
  const rows = new MemoryStore()
  await rows.write(changes, changes.length)
  const expired = new ExpiredRows(spec, rows)
  expired.observe(changes)
  return { rows, expired }
}

it('are those whose own time is more than the retention and a day before the latest', async () => {
  const { expired } = await copyOf([row('a', 1_000), row('b', 99_000, 99_500), row('c', dayMs + 200_000)])
  const keys = await expired.next()
  expect(keys.map(windowStartOfRow)).toEqual([1_000, 99_000])
})

it('are not those that the task has still to close, because its slowest writer is behind the newest row', async () => {
  const { expired } = await copyOf([row('open', 1_000), row('now', 10 * retentionMs)])
  expect(await expired.next()).toEqual([])
})

it('are not those of old windows that were updated lately', async () => {
  const { expired } = await copyOf([row('history', 1_000, 190_000), row('now', dayMs + 200_000)])
  expect(await expired.next()).toEqual([])
})

it('are looked for page by page, and again when time has moved on', async () => {
  const many = Array.from({ length: standbyExpiredRowsMax + 5 }, (_, index) => row(`k${index}`, 1_000))
  const { rows, expired } = await copyOf([...many, row('now', dayMs + 200_000)])
  const first = await expired.next()
  expect(first).toHaveLength(standbyExpiredRowsMax)
  expect(await expired.next()).toHaveLength(5)
  await rows.write([{ key: windowRowKey(Buffer.from('now'), dayMs + 200_000), value: null }], 3)
  expect(await expired.next()).toEqual([])
  expired.observe([row('later', dayMs + 400_000)])
  expect(await expired.next()).toHaveLength(standbyExpiredRowsMax)
})

it('are none in a store that is not of windows', async () => {
  const { expired } = await copyOf([row('a', 1_000), row('b', 2 * dayMs)], { ...windows, kind: 'key-value' })
  expect(await expired.next()).toEqual([])
})
