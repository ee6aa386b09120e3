import { type CommittedOffset, type GroupMetadata, partitionKey, type TopicPartition } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { FakeGroup } from './fake-group.ts'
import type { FakeLog } from './fake-log.ts'

interface OpenTransaction {
  readonly startedMs: number
  readonly logs: Set<FakeLog>
  readonly offsets: Map<FakeGroup, Map<string, CommittedOffset>>
}

/** One transactional id: its producer id, its epoch, its open transaction. */
export class FakeTransactionalId {
  readonly name: string
  readonly producerId: number
  epoch = -1
  timeoutMs = 0
  #open: OpenTransaction | undefined

  constructor(name: string, producerId: number) {
    this.name = name
    this.producerId = producerId
  }

  /** A new producer: raises the epoch and aborts what was open. */
  init(timeoutMs: number, nowMs: number): number {
    this.epoch++
    this.timeoutMs = timeoutMs
    this.end('abort', nowMs)
    return this.epoch
  }

  /** Throws `FENCED` when a later producer was opened. */
  check(epoch: number): void {
    if (epoch === this.epoch) return
    throw new StreamsError(
      'FENCED',
      `transactional id ${this.name} is at epoch ${this.epoch}, this producer at ${epoch}`,
    )
  }

  /** Adds a partition's log to the transaction, which begins if none is open. */
  add(log: FakeLog, nowMs: number): void {
    this.#begin(nowMs).logs.add(log)
  }

  /** Adds offsets to the transaction; refused with `REBALANCED` for another generation. */
  addOffsets(
    group: FakeGroup,
    metadata: GroupMetadata,
    offsets: readonly (TopicPartition & CommittedOffset)[],
    nowMs: number,
  ): void {
    group.check(metadata)
    const all = this.#begin(nowMs).offsets
    const added = all.get(group) ?? new Map<string, CommittedOffset>()
    for (const { offset, metadata: text, ...partition } of offsets)
      added.set(partitionKey(partition), { offset, metadata: text })
    all.set(group, added)
    group.pendingOffsets.set(this.name, new Set(added.keys()))
  }

  /** Ends the open transaction, if there is one: markers in its partitions, offsets into the groups. */
  end(outcome: 'commit' | 'abort', nowMs: number): void {
    const open = this.#open
    if (open === undefined) return
    this.#open = undefined
    for (const log of open.logs) log.endTransaction(outcome, { id: this.producerId, epoch: this.epoch }, nowMs)
    for (const [group, offsets] of open.offsets) {
      group.pendingOffsets.delete(this.name)
      if (outcome === 'commit') for (const [key, offset] of offsets) group.offsets.set(key, offset)
    }
  }

  /** Aborts what is open for longer than the timeout, and fences its producer, as a coordinator does. */
  expire(nowMs: number): void {
    if (this.#open === undefined || nowMs - this.#open.startedMs < this.timeoutMs) return
    this.epoch++
    this.end('abort', nowMs)
  }

  #begin(nowMs: number): OpenTransaction {
    this.#open ??= { startedMs: nowMs, logs: new Set(), offsets: new Map() }
    return this.#open
  }
}
