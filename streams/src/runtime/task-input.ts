import type { FetchedBatches, TopicPartition } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { RecordHeader, StreamRecord } from '../core/record.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import { decodeWatermark, type Watermark, watermarkHeader } from '../core/watermark.ts'
import type { SourceNode } from '../topology/topology.ts'
import type { SourceRecord } from './failures.ts'
import type { Receiver } from './task-node.ts'
import type { TaskState } from './task-state.ts'

/**
 * One input partition of a task: buffered fetches, read one record ahead, so that a task with several inputs can choose the smallest
 * timestamp. The record at its head is decoded; watermarks are taken when they come to the head.
 */
export class TaskInput implements SourceRecord, TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly children: Receiver[] = []
  readonly #node: SourceNode
  readonly #state: TaskState
  readonly #cursor = new RecordCursor()
  #fetches: FetchedBatches[] = []
  #isReading = false
  #head: StreamRecord<unknown, unknown> | undefined
  /** Of the record at the head, or last taken. */
  offset = -1
  headers: readonly RecordHeader[] = []
  /** The next offset to process; undefined before the first fetch without a committed offset. */
  position: number | undefined
  /** Offsets before it can be read by now. */
  #readableEnd = 0
  bufferedBytes = 0
  /** Records and watermarks read from the buffer, since the start; dropped ones too. */
  consumed = 0

  constructor(node: SourceNode, at: TopicPartition, state: TaskState) {
    this.#node = node
    this.topic = at.topic
    this.partition = at.partition
    this.#state = state
  }

  get name(): string {
    return this.#node.name
  }

  get hasWatermarks(): boolean {
    return this.#node.watermarks
  }

  /** Of the record at the head, or last taken: as the broker has it. */
  get timestamp(): number {
    return this.#cursor.timestamp
  }

  add(fetched: FetchedBatches): void {
    this.position ??= fetched.fetchOffset
    if (this.#fetches.length === 0 && this.#head === undefined) this.position = fetched.fetchOffset
    this.#fetches.push(fetched)
    this.#readableEnd = Math.min(fetched.lastStableOffset, fetched.highWatermark)
    this.bufferedBytes += fetched.bytes.length
  }

  /** The record to be processed next; undefined when nothing is buffered. */
  head(): StreamRecord<unknown, unknown> | undefined {
    while (this.#head === undefined) {
      if (!this.#isReading && !this.#open()) return undefined
      if (this.#cursor.next()) this.#read()
      else this.#closeFetch()
    }
    return this.#head
  }

  /** Moves on from the record at the head, which is being processed. */
  take(): void {
    this.#head = undefined
    this.position = this.#cursor.nextOffset
  }

  /** Nothing is buffered, although the broker has more: other inputs must wait for it. */
  get isBehind(): boolean {
    return this.position !== undefined && this.position < this.#readableEnd
  }

  rawKey(): Buffer | null {
    const { bytes, keyStart, keyEnd } = this.#cursor
    return keyStart < 0 ? null : Buffer.from(bytes.subarray(keyStart, keyEnd))
  }

  rawValue(): Buffer | null {
    const { bytes, valueStart, valueEnd } = this.#cursor
    return valueStart < 0 ? null : Buffer.from(bytes.subarray(valueStart, valueEnd))
  }

  /** The record at hand, for when it has to wait. */
  snapshot(): SourceRecord {
    const { topic, partition, offset, timestamp, headers } = this
    const key = this.rawKey()
    const value = this.rawValue()
    const record: SourceRecord = {
      topic,
      partition,
      offset,
      timestamp,
      headers,
      rawKey: () => key,
      rawValue: () => value,
      snapshot: () => record,
    }
    return record
  }

  #open(): boolean {
    const fetched = this.#fetches[0]
    if (fetched === undefined) return false
    this.#cursor.reset(fetched)
    this.#isReading = true
    return true
  }

  #closeFetch(): void {
    const fetched = this.#fetches.shift()
    this.position = Math.max(this.#cursor.nextOffset, this.position ?? 0)
    this.bufferedBytes -= fetched?.bytes.length ?? 0
    this.#isReading = false
  }

  /** Decodes the cursor's record into the head, unless it is a watermark or is dropped. */
  #read(): void {
    const cursor = this.#cursor
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = cursor
    const { keySerde, valueSerde } = this.#node
    this.consumed++
    this.offset = cursor.offset
    this.headers = cursor.headers()
    const mark = this.#node.watermarks && keyStart < 0 ? this.#watermark() : undefined
    if (mark !== undefined) {
      this.#state.streamTime.mark(this.topic, mark)
      this.position = cursor.nextOffset
      return
    }
    if (valueStart < 0 && valueSerde.nullable !== true) {
      this.#drop('null-value')
      return
    }
    try {
      const key = keyStart < 0 ? null : keySerde.read(bytes, keyStart, keyEnd)
      const value = valueStart < 0 ? null : valueSerde.read(bytes, valueStart, valueEnd)
      const timestamp = this.#node.timestampOf?.(value, key, cursor.timestamp) ?? cursor.timestamp
      if (timestamp >= 0 && Number.isSafeInteger(timestamp))
        this.#head = { key, value, timestamp, headers: this.headers }
      else this.#badTimestamp(timestamp)
    } catch (cause) {
      this.position = cursor.nextOffset
      this.#state.undecodable(cause, { source: this, node: this.name })
    }
  }

  #badTimestamp(timestamp: number): void {
    if (timestamp < 0) {
      this.#drop('negative-timestamp')
      return
    }
    throw new StreamsError('INVALID_RECORD', `its timestamp must be a whole number of milliseconds, not ${timestamp}`)
  }

  #drop(reason: 'null-value' | 'negative-timestamp'): void {
    this.position = this.#cursor.nextOffset
    this.#state.dropped(this.name, reason, { records: 1 })
  }

  #watermark(): Watermark | undefined {
    const { bytes, valueStart, valueEnd } = this.#cursor
    if (valueStart < 0 || !this.headers.some((header) => header.key === watermarkHeader)) return undefined
    return decodeWatermark(bytes, valueStart, valueEnd)
  }
}
