import type { Rejection } from '@millrace/storage/mysql'
import { deadLetter, type OutgoingRecord, type SinkBatch } from '@millrace/streams/sink'
import type { DecodedBatch } from './decode-batch.ts'

/** The dead letters of a batch: records that could not be decoded, and records that the database refused. */
export function deadLettersOf(options: {
  readonly topic: string
  readonly batch: SinkBatch
  readonly poison: DecodedBatch<unknown>['poison']
  readonly rejections: readonly Rejection[]
  readonly failedAtMs: number
}): readonly OutgoingRecord[] {
  const { topic, batch, poison, rejections, failedAtMs } = options
  const letters = poison.map(({ row, reason }) => deadLetter({ topic, batch, row, reason, failedAtMs }))
  if (rejections.length === 0) return letters
  const rows = rowsByOffset(batch)
  for (const { offset, reason } of rejections) {
    const row = rows.get(offset)
    // A rejection that an earlier attempt noted for a record that retention has deleted since.
    if (row === undefined) continue
    const refusal = { exception: 'ROW_REFUSED', message: reason }
    letters.push(deadLetter({ topic, batch, row, reason: refusal, failedAtMs }))
  }
  return letters
}

function rowsByOffset(batch: SinkBatch): ReadonlyMap<number, number> {
  const rows = new Map<number, number>()
  for (let row = 0; row < batch.count; row++) rows.set(batch.offset(row), row)
  return rows
}
