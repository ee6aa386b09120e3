import { describe, expect, it } from 'vitest'
import { count } from '../aggregate/count.ts'
import { utf8 } from '../core/serde.ts'
import { hoppingWindows, tumblingWindows } from '../windows/time-windows.ts'
import { ArrivalWindowsProcessor } from './arrival-windows.ts'
import type { EmitMode } from './change.ts'
import { aggregating, merging } from './fold.ts'
import { MergeWindowsProcessor } from './merge-windows.ts'
import { WindowAggregateProcessor } from './window-aggregate.ts'

/*
 * What copies of a store may forget: rows that the task dropped before the commit that is looked at, and no row that it may still hand on.
 */

const always = Number.POSITIVE_INFINITY
const rows = { store: 'windows', keySerde: utf8, retentionMs: 100_000 }
const tumbling = tumblingWindows({ sizeMs: 1_000, graceMs: 0 })

describe('windows by event time', () => {
  const windows = hoppingWindows({ sizeMs: 2_000, advanceMs: 1_000, graceMs: 0 })
  const aggregateOf = (emit: EmitMode) =>
    new WindowAggregateProcessor({
      ...rows,
      windows,
      fold: aggregating(count()),
      emit,
      streamTime: 'observed',
      emitIntervalMs: 0,
    })

  it('are over when they are expired, by the time through which they were closed, not by the stream time', () => {
    const over = aggregateOf('updates').rowsOver({ streamTimeMs: 10 ** 12, times: [10 ** 12, 150_500] })
    expect(over).toEqual({ startMsMax: 50_000, updatedMsMax: always })
  })

  it('a millisecond later where results are final', () => {
    const over = aggregateOf('updates-and-close').rowsOver({ streamTimeMs: 150_500, times: [150_500, 150_500] })
    expect(over).toEqual({ startMsMax: 49_999, updatedMsMax: always })
  })

  it('are not over while none was closed', () => {
    expect(aggregateOf('close').rowsOver({ streamTimeMs: 10 ** 12, times: [10 ** 12, -1] })).toBeUndefined()
    expect(aggregateOf('close').rowsOver({ streamTimeMs: 10 ** 12, times: [] })).toBeUndefined()
  })

  it('are over by their only time where partials are merged', () => {
    const merge = new MergeWindowsProcessor({ ...rows, windows: tumbling, fold: merging(count()), emit: 'updates' })
    expect(merge.rowsOver({ streamTimeMs: 10 ** 12, times: [150_500] })).toMatchObject({ startMsMax: 50_000 })
  })
})

describe('windows by arrival', () => {
  const arrivals = new ArrivalWindowsProcessor({ ...rows, windows: tumbling, fold: merging(count()) })
  const overAfter = (forgottenStartMs: number, takenThroughMs: number, unheldFromMs: number) =>
    arrivals.rowsOver({ streamTimeMs: 300_000, times: [forgottenStartMs, takenThroughMs, unheldFromMs] })

  it('are over when their last update is, as far as windows have been forgotten', () => {
    expect(overAfter(150_000, 300_000, -1)).toEqual({ startMsMax: 150_000, updatedMsMax: 200_000 })
  })

  it('are not over before they are final, however late the stream time', () => {
    expect(overAfter(250_000, 280_000, -1)).toEqual({ startMsMax: 180_000, updatedMsMax: 180_000 })
  })

  it('are not over from the first update on that waits without being held in memory', () => {
    expect(overAfter(250_000, 300_000, 260_000)).toEqual({ startMsMax: 160_000, updatedMsMax: 160_000 })
  })

  it('are not over while the task has forgotten none, or none is final', () => {
    expect(overAfter(-1, 300_000, -1)).toBeUndefined()
    expect(overAfter(150_000, -1, -1)).toBeUndefined()
  })
})
