import { textHeader } from './dead-letter.ts'
import { partitionOfKey } from './murmur2.ts'
import type { OriginalRecord, OutgoingRecord } from './record.ts'

/** Names of the headers that say why a record is in a topic of late records; their values are decimal numbers and names as text. */
export const lateHeaders = {
  /** The operator whose window was over. */
  node: '__millrace.late.node',
  /** The start of that window, in ms. */
  windowStart: '__millrace.late.window.start',
  /** The stream time that had closed it, in ms. */
  streamTime: '__millrace.late.stream.time',
  /** How far the record was behind stream time, in ms. */
  lateness: '__millrace.late.lateness',
  topic: '__millrace.late.topic',
  partition: '__millrace.late.partition',
  offset: '__millrace.late.offset',
} as const

/** The window that was over, and where the record goes. */
export interface LateFate {
  readonly node: string
  readonly windowStartMs: number
  readonly streamTimeMs: number
  readonly to: { readonly topic: string; readonly partitions: number }
}

/** A late record as it was read, key, value, time and headers, and beside them the window, the stream time and the lateness. */
export function lateRecordOf(
  original: OriginalRecord,
  { node, windowStartMs, streamTimeMs, to }: LateFate,
): OutgoingRecord {
  const { key, value, timestamp } = original
  return {
    topic: to.topic,
    partition: key === null ? original.partition % to.partitions : partitionOfKey(key, to.partitions),
    key,
    value,
    timestamp,
    headers: [
      ...original.headers,
      textHeader(lateHeaders.node, node),
      textHeader(lateHeaders.windowStart, String(windowStartMs)),
      textHeader(lateHeaders.streamTime, String(streamTimeMs)),
      textHeader(lateHeaders.lateness, String(streamTimeMs - timestamp)),
      textHeader(lateHeaders.topic, original.topic),
      textHeader(lateHeaders.partition, String(original.partition)),
      textHeader(lateHeaders.offset, String(original.offset)),
    ],
  }
}
