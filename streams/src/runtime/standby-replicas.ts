import { setTimeout } from 'node:timers/promises'
import {
  type Admin,
  type Broker,
  type FetchedBatches,
  type Fetcher,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { hasCode } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import type { Logger } from '../core/logger.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import type { RowsOver } from '../processor/processor.ts'
import { changesInOrder, PackedChanges } from '../state/packed-changes.ts'
import { ScratchBuffers } from '../state/scratch-buffers.ts'
import type { ByteStore, ByteStoreProvider, CommittedRows } from '../state/store.ts'
import type { PartitionPlan } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Topology } from '../topology/topology.ts'
import { taskId } from './assignment.ts'
import { boundsOf, type ChangelogCopy, changelogBounds, collectChanges, startOffset } from './changelog-copy.ts'
import { CommittedRowsOver, type ReadCommitted } from './committed-rows-over.ts'
import { ExpiredRows } from './expired-rows.ts'
import {
  pollWaitMsMax,
  retryWaitMsMax,
  retryWaitMsMin,
  standbyFetchBytesMax,
  standbyPartitionBytesMax,
  standbyRestFactor,
} from './limits.ts'

/** What standbys work with. */
export interface StandbyOptions {
  readonly topology: Topology
  readonly names: TopicNames
  readonly plan: PartitionPlan
  readonly broker: Broker
  readonly admin: Admin
  readonly stores: ByteStoreProvider
  /** What the group has committed: it tells which rows of windows are over. */
  readonly committed: ReadCommitted
  readonly clientId: string
  readonly clock: Clock
  readonly logger: Logger
  /** Whether tasks have records to process: standbys give way to them. */
  readonly isBusy: () => boolean
}

/** How far the copy of one store is. */
export interface StandbySnapshot {
  readonly taskId: string
  readonly store: string
  readonly partition: number
  readonly position: number
  /** As of the last answer that had records. */
  readonly endOffset: number
}

/**
 * Copies of stores that other members process: they follow the changelogs as one who reads committed records only, into the same places where
 * a task of this process would keep them, so that it has only the rest to restore when it takes over.
 *
 * One loop of its own, from the first number to keep until none is left. A failure is logged and tried again; only state that cannot be read
 * is the thread's business (`failure`).
 */
export class StandbyReplicas {
  readonly #options: StandbyOptions
  readonly #over: CommittedRowsOver
  #replicas: readonly Replica[] = []
  #numbers: ReadonlySet<number> = new Set()
  #stopping: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  readonly #lagging = new Set<number>()
  #hasCaughtUp = false
  /** Why the stores must be discarded: `STORE_CORRUPT`. */
  failure: unknown

  constructor(options: StandbyOptions) {
    this.#options = options
    this.#over = new CommittedRowsOver(options)
  }

  get numbers(): ReadonlySet<number> {
    return this.#numbers
  }

  snapshot(): readonly StandbySnapshot[] {
    return this.#replicas.map(({ taskId: id, spec, changelog, position, end }) => ({
      taskId: id,
      store: spec.name,
      partition: changelog.partition,
      position,
      endOffset: end,
    }))
  }

  /** The rows of a store in a partition, if a copy is kept here. */
  committedRows(store: string, partition: number): CommittedRows | undefined {
    return this.#replicas.find(({ spec, changelog }) => spec.name === store && changelog.partition === partition)?.rows
  }

  /** Changelog offsets that the copies of a number lack; undefined while that is not known. */
  lagOf(number: number): number | undefined {
    if (!this.#numbers.has(number)) return undefined
    let lag = 0
    for (const replica of this.#replicas) {
      if (replica.changelog.partition !== number) continue
      if (!replica.isPlaced) return undefined
      lag += Math.max(replica.end - replica.position, 0)
    }
    return lag
  }

  /** Whether a number has caught up since this was asked last. */
  takeCaughtUp(): boolean {
    const hasCaughtUp = this.#hasCaughtUp
    this.#hasCaughtUp = false
    return hasCaughtUp
  }

  /** Keeps copies of these partition numbers and of no others. Resolves when the stores of the others are closed. */
  async keep(numbers: ReadonlySet<number>): Promise<void> {
    if (numbers.size === this.#numbers.size && [...numbers].every((number) => this.#numbers.has(number))) return
    await this.#stop()
    const gone = this.#replicas.filter(({ changelog }) => !numbers.has(changelog.partition))
    for (const { rows } of gone) await rows.close()
    this.#replicas = this.#replicas.filter((replica) => !gone.includes(replica))
    for (const number of this.#lagging) if (!numbers.has(number)) this.#lagging.delete(number)
    try {
      for (const number of numbers) if (!this.#numbers.has(number)) await this.#open(number)
    } catch (error) {
      await this.close()
      throw error
    }
    this.#numbers = new Set(numbers)
    if (this.#replicas.length > 0) this.#start()
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#stop()
    for (const { rows } of this.#replicas) await rows.close()
    this.#replicas = []
    this.#numbers = new Set()
    this.#lagging.clear()
    this.#hasCaughtUp = false
    this.failure = undefined
  }

  async #open(number: number): Promise<void> {
    const { topology, plan, names, stores } = this.#options
    for (const subtopology of topology.subtopologies) {
      if (number >= (plan.tasks[subtopology.id] ?? 0)) continue
      const id = taskId({ subtopology: subtopology.id, partition: number })
      for (const spec of subtopology.stores) {
        if (!spec.changelog) continue
        const rows = await stores.open(spec.name, number)
        const changelog = { topic: names.changelog(spec.name), partition: number }
        this.#replicas = [...this.#replicas, new Replica(id, { spec, rows, changelog })]
      }
    }
    this.#lagging.add(number)
  }

  #start(): void {
    const stopping = new AbortController()
    this.#stopping = stopping
    this.#running = this.#run(stopping.signal)
  }

  async #stop(): Promise<void> {
    this.#stopping?.abort()
    await this.#running
  }

  /** Never rejects. */
  async #run(signal: AbortSignal): Promise<void> {
    for (let waitMs = retryWaitMsMin; !signal.aborted; waitMs = Math.min(2 * waitMs, retryWaitMsMax)) {
      try {
        await this.#follow(signal)
      } catch (error) {
        if (hasCode(error, 'STORE_CORRUPT')) {
          this.failure = error
          return
        }
        const { logger } = this.#options
        logger.warn({ err: error, delay_ms: waitMs }, 'standbys do not follow their changelogs: they try again')
        await pause(waitMs, signal)
      }
    }
  }

  /** From what the stores hold; also after a failure, which may have left changes that were read and not written. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { admin, broker, clientId, logger } = this.#options
    const asked = changelogBounds(
      this.#replicas.map(({ changelog }) => changelog),
      admin,
    )
    const bounds = await unlessAborted(asked, signal)
    if (bounds === undefined) return
    for (const replica of this.#replicas) {
      const log = boundsOf(replica.changelog, bounds)
      replica.place(await startOffset(replica, log, logger), log.end)
    }
    const fetcher = await broker.openFetcher({
      clientId: `${clientId}-standby`,
      partitionBytesMax: standbyPartitionBytesMax,
      fetchBytesMax: standbyFetchBytesMax,
    })
    try {
      fetcher.assign(this.#replicas.map(({ changelog, position }) => ({ ...changelog, offset: position })))
      const byChangelog = new Map(this.#replicas.map((replica) => [partitionKey(replica.changelog), replica]))
      const cursor = new RecordCursor()
      while (!signal.aborted) {
        this.#lookWhoHasCaughtUp()
        this.#over.look(this.#numbers)
        const fetched = await fetcher.poll(pollWaitMsMax)
        await this.#rest(await this.#apply(fetched, { fetcher, byChangelog, cursor }), signal)
      }
    } finally {
      await fetcher.close()
    }
  }

  /** Writes what was fetched; returns how long that took. */
  async #apply(fetched: readonly FetchedBatches[], by: Following): Promise<number> {
    const startedMs = this.#options.clock.nowMs()
    for (const batches of fetched) by.byChangelog.get(partitionKey(batches))?.collect(batches, by.cursor)
    for (const replica of by.byChangelog.values()) {
      const over = this.#over.of(replica.taskId, replica.spec)
      await replica.write(by.fetcher.position(replica.changelog) ?? replica.position, over)
    }
    return this.#options.clock.nowMs() - startedMs
  }

  #lookWhoHasCaughtUp(): void {
    for (const number of this.#lagging) {
      const lag = this.lagOf(number)
      if (lag === undefined || lag > limits.caughtUpLagMax) continue
      this.#lagging.delete(number)
      this.#hasCaughtUp = true
      this.#options.logger.info({ number, lag }, 'a standby has caught up')
    }
  }

  /** Fetched records come without a wait: tasks must have their turn. */
  async #rest(spentMs: number, signal: AbortSignal): Promise<void> {
    if (this.#options.isBusy()) await pause(Math.max(spentMs, 1) * standbyRestFactor, signal)
    else await new Promise((resolve) => setImmediate(resolve))
  }
}

interface Following {
  readonly fetcher: Fetcher
  readonly byChangelog: ReadonlyMap<string, Replica>
  readonly cursor: RecordCursor
}

/** The copy of one store. */
class Replica implements ChangelogCopy {
  readonly taskId: string
  readonly spec: StoreSpec
  readonly rows: ByteStore
  readonly changelog: TopicPartition
  position = 0
  end = 0
  /** False until it is known where reading goes on. */
  isPlaced = false
  #changes = new PackedChanges()
  readonly #scratch = { keys: new ScratchBuffers(), values: new ScratchBuffers() }
  readonly #expired: ExpiredRows

  constructor(id: string, { spec, rows, changelog }: ChangelogCopy) {
    this.taskId = id
    this.spec = spec
    this.rows = rows
    this.changelog = changelog
    this.#expired = new ExpiredRows(rows)
  }

  place(position: number, end: number): void {
    this.position = position
    this.end = end
    this.isPlaced = true
    this.#changes = new PackedChanges()
  }

  collect(batches: FetchedBatches, cursor: RecordCursor): void {
    collectChanges(batches, cursor, { spec: this.spec, changes: this.#changes, scratch: this.#scratch })
    this.end = Math.max(this.end, batches.highWatermark)
  }

  async write(position: number, over: RowsOver | undefined): Promise<void> {
    this.position = position
    const expired = await this.#expired.next(over)
    const changes = this.#changes
    if (changes.length === 0 && expired.length === 0) return
    this.#changes = new PackedChanges(changes)
    const deletions = expired.map((key) => ({ key, value: null }))
    await this.rows.write(expired.length === 0 ? changes : changesInOrder(deletions, changes), position)
  }
}

/** Waits, at most until the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined)
}

/** What `work` comes to, or undefined as soon as the signal fires: a broker that does not answer must not hold up the tasks. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const wake = () => resolve(undefined)
  if (signal.aborted) wake()
  signal.addEventListener('abort', wake, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', wake)
  }
}
