import type { Clock } from '../core/clock.ts'
import { StreamsError } from '../core/errors.ts'
import { lateRecordOf } from '../core/late-record.ts'
import { PackedRecords } from '../core/packed-records.ts'
import type { OutgoingRecord } from '../core/record.ts'
import type { DropReason, LateFor } from '../processor/processor.ts'
import type { TaskStore } from '../state/store.ts'
import {
  alwaysFail,
  deadLetter,
  deserializationError,
  type FailurePolicy,
  type FailureStage,
  failureOf,
  originalOf,
  type SourceRecord,
} from './failures.ts'
import type { StreamTime } from './stream-time.ts'
import type { TaskProbes } from './task.ts'

/** What a record costs besides its bytes, in memory and on the wire. */
const recordOverheadBytes = 64

/** What a task's state is made of. */
export interface TaskStateOptions {
  readonly taskId: string
  readonly partition: number
  readonly clock: Clock
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly streamTime: StreamTime
  /** Partitions of a topic, by its name at the broker. */
  readonly partitionsOf: (topic: string) => number
  readonly probes: TaskProbes | undefined
  readonly onFailure: FailurePolicy | undefined
  readonly deadLetterTopicOf: ((topic: string) => string) | undefined
}

/** What the nodes of one task share: the record at hand, the time, and what is to be sent. */
export class TaskState {
  readonly taskId: string
  readonly partition: number
  readonly clock: Clock
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly streamTime: StreamTime
  /** The record that is being processed; undefined during a flush. */
  source: SourceRecord | undefined
  /** The stream time that the record at hand sees: that of its arrival, also when it had to wait for rows. */
  streamTimeMs = -1
  commitRequested = false
  outgoing = new PackedRecords()
  readonly #options: TaskStateOptions

  constructor(options: TaskStateOptions) {
    this.#options = options
    this.taskId = options.taskId
    this.partition = options.partition
    this.clock = options.clock
    this.stores = options.stores
    this.streamTime = options.streamTime
  }

  send(record: OutgoingRecord): void {
    this.outgoing.push(record)
  }

  get outgoingBytes(): number {
    return this.outgoing.bytes + recordOverheadBytes * this.outgoing.length
  }

  takeOutgoing(): PackedRecords {
    const taken = this.outgoing
    this.outgoing = new PackedRecords(taken)
    return taken
  }

  dropped(
    node: string,
    reason: DropReason,
    drop: { readonly records: number; readonly window?: LateFor | undefined },
  ): void {
    this.#options.probes?.dropped?.({ taskId: this.taskId, node, reason, ...drop })
  }

  /** The record at hand came too late for a window. */
  sendLate(node: string, topic: string, window: LateFor): void {
    const { source } = this
    if (source === undefined) return
    const to = { topic, partitions: this.#options.partitionsOf(topic) }
    this.send(lateRecordOf(originalOf(source), { node, ...window, to }))
  }

  /** A record's bytes could not be read: does what the policy says. Throws when that is to fail. */
  undecodable(cause: unknown, at: { readonly source: SourceRecord; readonly node: string }): void {
    this.#fail('deserialization', deserializationError(cause, at.source), at)
  }

  /** A node threw: does what the policy says. Throws when that is to fail, and when no record is to blame. */
  failed(cause: unknown, at: { readonly source: SourceRecord | undefined; readonly node: string }): void {
    const { source, node } = at
    if (source === undefined) throw processingError(cause, node)
    const failure = failureOf(cause, source)
    if (failure === undefined) throw cause
    this.#fail(failure.stage, failure.error, { source, node })
  }

  #fail(stage: FailureStage, error: StreamsError, at: { readonly source: SourceRecord; readonly node: string }): void {
    const { onFailure = alwaysFail, probes, deadLetterTopicOf } = this.#options
    const action = onFailure(stage, error)
    probes?.failed?.({ taskId: this.taskId, stage, error, action })
    if (action === 'fail') throw error
    if (action === 'skip') {
      this.dropped(at.node, stage === 'deserialization' ? 'undecodable' : 'failed', { records: 1 })
      return
    }
    const topic = deadLetterTopicOf?.(at.source.topic) ?? `${at.source.topic}.dlq`
    this.send(deadLetter(at.source, error, { topic, failedAtMs: this.clock.nowMs() }))
  }
}

/** An error of a flush, which no record can be blamed for. */
export function processingError(cause: unknown, node: string): StreamsError {
  if (cause instanceof StreamsError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new StreamsError('PROCESSING', `node "${node}" failed: ${message}`, { cause })
}
