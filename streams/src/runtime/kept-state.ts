import type { Admin, TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { ByteStore, ByteStoreProvider } from '../state/store.ts'
import type { PartitionPlan } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Topology } from '../topology/topology.ts'
import { boundsOf, type ChangelogBounds, changelogBounds } from './changelog-copy.ts'

/** What kept state is looked at with. */
export interface KeptStateOptions {
  readonly topology: Topology
  readonly names: TopicNames
  readonly plan: PartitionPlan
  readonly admin: Admin
  readonly stores: ByteStoreProvider
  readonly clock: Clock
  readonly logger: Logger
  /** After how long state is deleted that nobody gave us any more. */
  readonly cleanupDelayMs: number
}

/**
 * State on disk that is not in use: of partition numbers that are neither processed nor followed here. It makes taking a number back cheap, which
 * the group's leader is told, and it is deleted when nobody has asked for it for a while.
 */
export class KeptState {
  readonly #options: KeptStateOptions
  /** Since when each number on disk has not been in use, and the changelog offsets of its stores. */
  readonly #unused = new Map<number, { readonly sinceMs: number; readonly offsets: ReadonlyMap<string, number> }>()
  #bounds: ReadonlyMap<string, ChangelogBounds> | undefined

  constructor(options: KeptStateOptions) {
    this.#options = options
  }

  /** Partition numbers of the topology: as many as its widest subtopology has tasks. */
  get numbers(): number {
    return Math.max(0, ...this.#options.plan.tasks)
  }

  isOnDisk(number: number): boolean {
    return this.#unused.has(number)
  }

  /** Changelog offsets to be restored before this number could be processed, as of the last looks; undefined before them. 0 when it has no state. */
  lagOf(number: number): number | undefined {
    const bounds = this.#bounds
    if (bounds === undefined) return undefined
    const offsets = this.#unused.get(number)?.offsets
    let lag = 0
    for (const { name } of this.#changelogged(number)) {
      const { start, end } = boundsOf(this.#changelogOf(name, number), bounds)
      const known = offsets?.get(name) ?? start
      lag += end - (known >= start && known <= end ? known : start)
    }
    return lag
  }

  /** Begins every delay anew: while there is no group to ask for it, that nobody asks for state says nothing. */
  forget(): void {
    this.#unused.clear()
  }

  /** Looks what is on disk besides what is in use. Opens and closes stores: nobody else may meanwhile. */
  async look(inUse: ReadonlySet<number>): Promise<void> {
    await this.#find(inUse)
  }

  /** Looks, and deletes what has been there for too long. Only while it is known what the group has given us. */
  async tidy(inUse: ReadonlySet<number>): Promise<void> {
    const { clock, cleanupDelayMs } = this.#options
    const nowMs = clock.nowMs()
    for (const [number, names] of await this.#find(inUse)) {
      const known = this.#unused.get(number)
      if (known !== undefined && nowMs - known.sinceMs >= cleanupDelayMs) await this.#delete(number, names)
    }
  }

  /** Brings `#unused` up to date; returns the names of the stores on disk by number. */
  async #find(inUse: ReadonlySet<number>): Promise<ReadonlyMap<number, readonly string[]>> {
    const { clock, stores } = this.#options
    const nowMs = clock.nowMs()
    const onDisk = new Map<number, string[]>()
    for (const name of this.#storeNames()) {
      for (const number of await stores.partitionsOnDisk(name)) {
        if (!inUse.has(number)) onDisk.set(number, [...(onDisk.get(number) ?? []), name])
      }
    }
    for (const number of this.#unused.keys()) if (!onDisk.has(number)) this.#unused.delete(number)
    for (const [number, names] of onDisk) {
      if (!this.#unused.has(number))
        this.#unused.set(number, { sinceMs: nowMs, offsets: await this.#offsetsOf(number, names) })
    }
    return onDisk
  }

  /** Asks where the changelogs end. */
  async measure(): Promise<void> {
    const changelogs: TopicPartition[] = []
    for (let number = 0; number < this.numbers; number++) {
      for (const { name } of this.#changelogged(number)) changelogs.push(this.#changelogOf(name, number))
    }
    this.#bounds = await changelogBounds(changelogs, this.#options.admin)
  }

  async #offsetsOf(number: number, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const offsets = new Map<string, number>()
    for (const name of names) {
      const offset = await this.#with(name, number, (rows) => rows.changelogOffset())
      if (offset !== undefined) offsets.set(name, offset)
    }
    return offsets
  }

  async #delete(number: number, names: readonly string[]): Promise<void> {
    for (const name of names) await this.#with(name, number, (rows) => rows.wipe())
    this.#unused.delete(number)
    this.#options.logger.info(
      { number, stores: names, after_ms: this.#options.cleanupDelayMs },
      'state deleted: others process these partitions now',
    )
  }

  async #with<T>(store: string, number: number, use: (rows: ByteStore) => Promise<T>): Promise<T> {
    const rows = await this.#options.stores.open(store, number)
    try {
      return await use(rows)
    } finally {
      await rows.close()
    }
  }

  #storeNames(): readonly string[] {
    return this.#options.topology.subtopologies.flatMap(({ stores }) => stores.map(({ name }) => name))
  }

  #changelogged(number: number): readonly StoreSpec[] {
    const { topology, plan } = this.#options
    return topology.subtopologies
      .filter(({ id }) => number < (plan.tasks[id] ?? 0))
      .flatMap(({ stores }) => stores.filter(({ changelog }) => changelog))
  }

  #changelogOf(store: string, partition: number): TopicPartition {
    return { topic: this.#options.names.changelog(store), partition }
  }
}
