import { silentLogger } from '../src/core/logger.ts'
import { CommittedRowsOver } from '../src/runtime/committed-rows-over.ts'
import { ExpiredRows } from '../src/runtime/expired-rows.ts'
import { MemoryStore, memoryStores } from '../src/state/memory-store.ts'
import type { ByteStore, ByteStoreProvider } from '../src/state/store.ts'
import { timestampedValue } from '../src/state/timestamped-value.ts'
import { windowRowKeyOfChangelog } from '../src/state/window-key.ts'
import { ManualClock, type TopologyDriver } from '../src/testing/index.ts'
import { partitionPlan } from '../src/topology/partition-plan.ts'
import { topicNames } from '../src/topology/topic-names.ts'
import type { StoreSpec, Topology } from '../src/topology/topology.ts'

/**
 * Stores of members that take over: each is opened as a copy that has followed its changelog to the end, and has forgotten every row that it
 * may forget by then. Of timestamped window stores.
 */
export class CopiedStores {
  /** Rows that copies have forgotten so far. */
  forgotten = 0
  readonly provider: ByteStoreProvider
  readonly #topology: Topology
  readonly #partitions: ReadonlyMap<string, number>
  readonly #names = topicNames('test')
  #driver: TopologyDriver | undefined

  constructor(topology: Topology, partitions: Readonly<Record<string, number>>) {
    this.#topology = topology
    this.#partitions = new Map(Object.entries(partitions))
    this.provider = { ...memoryStores('copies'), open: (store, partition) => this.#open(store, partition) }
  }

  /** Whose changelogs they copy. */
  follow(driver: TopologyDriver): void {
    this.#driver = driver
  }

  async #open(store: string, partition: number): Promise<ByteStore> {
    const rows = new MemoryStore()
    const subtopology = this.#topology.subtopologies.find(({ stores }) => stores.some(({ name }) => name === store))
    const spec = subtopology?.stores.find(({ name }) => name === store)
    if (this.#driver === undefined || subtopology === undefined || spec === undefined) return rows
    const log = this.#driver.bytesOf(this.#names.changelog(store)).filter((record) => record.partition === partition)
    const changes = log.map(({ key, value, timestamp }) => ({
      key: windowRowKeyOfChangelog(key ?? Buffer.alloc(0)),
      value: value === null ? null : timestampedValue(value, timestamp),
    }))
    await rows.write(changes, log.length)
    await this.#forget(rows, { spec, id: `${subtopology.id}_${partition}`, partition, end: log.length })
    return rows
  }

  async #forget(
    rows: ByteStore,
    of: { readonly spec: StoreSpec; readonly id: string; readonly partition: number; readonly end: number },
  ): Promise<void> {
    const over = new CommittedRowsOver({
      topology: this.#topology,
      names: this.#names,
      plan: partitionPlan(this.#topology, this.#names, this.#partitions),
      committed: async (inputs) => this.#driver?.committed(inputs) ?? new Map(),
      clock: new ManualClock(),
      logger: silentLogger,
    })
    over.look(new Set([of.partition]))
    await over.settled()
    const expired = new ExpiredRows(rows)
    for (;;) {
      const keys = await expired.next(over.of(of.id, of.spec))
      if (keys.length === 0) return
      this.forgotten += keys.length
      await rows.write(
        keys.map((key) => ({ key, value: null })),
        of.end,
      )
    }
  }
}
