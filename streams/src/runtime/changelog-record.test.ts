import { expect, it } from 'vitest'
import type { OutgoingRecord } from '../core/record.ts'
import { encodeRecordBatch } from '../core/record-batch.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import type { ChangelogEntry } from '../state/store.ts'
import { timestampedValue } from '../state/timestamped-value.ts'
import { windowChangelogKey, windowRowKey } from '../state/window-key.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { changelogRecord, changeOf } from './changelog-record.ts'

const nowMs = 1_800_000_000_000
const hourMs = 3_600_000
const rowKey = windowRowKey(Buffer.from('a'), nowMs - 60_000)
const windows: StoreSpec = {
  name: 's',
  kind: 'window',
  timestamped: true,
  windowSizeMs: 1,
  retentionMs: 1,
  changelog: true,
}
const totals: StoreSpec = { ...windows, kind: 'key-value' }

function record(entry: Partial<ChangelogEntry>, spec = windows): OutgoingRecord {
  const whole = { key: windowChangelogKey(rowKey), value: Buffer.from('1'), timestamp: nowMs, ...entry }
  return changelogRecord(whole, { topic: 's-changelog', partition: 2, spec, nowMs })
}

function restored(of: OutgoingRecord, spec = windows) {
  const cursor = new RecordCursor()
  const bytes = encodeRecordBatch([of])
  const at = { fetchOffset: 0, highWatermark: 1, lastStableOffset: 1, abortedTransactions: [] }
  cursor.reset({ topic: of.topic, partition: of.partition, bytes, ...at })
  expect(cursor.next()).toBe(true)
  return changeOf(cursor, spec)
}

it('is what Kafka Streams writes', () => {
  const value = Buffer.from('1')
  const plain = {
    topic: 's-changelog',
    partition: 2,
    key: windowChangelogKey(rowKey),
    value,
    timestamp: nowMs - 11 * hourMs,
  }
  expect(record({ timestamp: nowMs - 11 * hourMs })).toEqual(plain)
  expect(restored(plain)).toEqual({ key: rowKey, value: timestampedValue(value, nowMs - 11 * hourMs) })
  expect(restored(record({ value: null }))).toEqual({ key: rowKey, value: null })
  expect(restored({ ...plain, key: null })).toBeUndefined()
})

it('of an old window is not deleted as old, and keeps its time', () => {
  const old = record({ timestamp: 1_000 })
  expect(old.timestamp).toBe(nowMs)
  expect(old.headers).toEqual([{ key: 'millrace.timestamp', value: Buffer.from('00000000000003e8', 'hex') }])
  expect(restored(old)).toEqual({ key: rowKey, value: timestampedValue(Buffer.from('1'), 1_000) })
})

it('of an old row without a window is as it is: nothing deletes it', () => {
  const key = Buffer.from('a')
  const old = record({ key, timestamp: 1_000 }, totals)
  expect(old).toEqual({ topic: 's-changelog', partition: 2, key, value: Buffer.from('1'), timestamp: 1_000 })
  expect(restored(old, totals)).toEqual({ key, value: timestampedValue(Buffer.from('1'), 1_000) })
  expect(restored(old, { ...totals, timestamped: false })).toEqual({ key, value: Buffer.from('1') })
})
