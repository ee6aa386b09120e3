import { StreamsError } from '../core/errors.ts'
import type { ByteStoreProvider } from '../state/store.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Subtopology, Topology } from '../topology/topology.ts'
import { ReadOnlyKeyValueStore } from './queries-key-value.ts'
import { type QueryWorld, StoreLocator, type StoreOfTopology, type StoreOwner, storesOf } from './queries-locate.ts'
import { RowDecoder } from './queries-rows.ts'
import { ReadOnlyWindowStore } from './queries-window.ts'

/** A store of the application, for queries; `kind` tells which. */
export type ReadOnlyStore<K, V> = ReadOnlyKeyValueStore<K, V> | ReadOnlyWindowStore<K, V>

/** A store of the application, and what of it is in this process. */
export interface StoreSnapshot {
  readonly name: string
  readonly kind: StoreSpec['kind']
  readonly windowSizeMs: number | undefined
  readonly retentionMs: number | undefined
  /** Partitions that are processed here. */
  readonly partitions: readonly number[]
  /** Partitions of which a copy is kept here. */
  readonly standbys: readonly number[]
  /** Of all partitions that are stored here, also those left from earlier assignments; see `StoreEstimate`. */
  readonly rowsEstimate: number
  readonly bytesEstimate: number
}

/** The stores of an application, to be read while it runs. */
export class Queries {
  readonly #stores: ReadonlyMap<string, StoreOfTopology>
  readonly #names: TopicNames
  readonly #world: QueryWorld

  constructor(topology: Topology, names: TopicNames, world: QueryWorld) {
    this.#stores = storesOf(topology)
    this.#names = names
    this.#world = world
  }

  /** Throws `STORE_UNKNOWN`. */
  store<K, V>(name: string): ReadOnlyStore<K, V> {
    const locator = this.#locator(name)
    return locator.spec.kind === 'window'
      ? new ReadOnlyWindowStore<K, V>(locator)
      : new ReadOnlyKeyValueStore<K, V>(locator)
  }

  /** Who has the rows of a key. Throws `STORE_UNKNOWN`, `STORE_NOT_READY`, and `INVALID_QUERY` for a key that cannot be written. */
  ownerOf<K>(store: string, key: K): StoreOwner {
    const locator = this.#locator(store)
    return locator.ownerOf(locator.partitionOf(new RowDecoder<K, unknown>(locator.spec).keyBytes(key)))
  }

  /** Every store, what of it is here, and about how large that is. */
  snapshot(stores: ByteStoreProvider): Promise<readonly StoreSnapshot[]> {
    return Promise.all(
      [...this.#stores.values()].map(async ({ spec, subtopology }) => {
        const { name, kind, windowSizeMs, retentionMs } = spec
        const here = this.#partitionsHere(name, subtopology)
        const { rows, bytes } = await stores.estimate(name)
        return {
          name,
          kind,
          windowSizeMs,
          retentionMs,
          partitions: here.filter(({ standby }) => !standby).map(({ partition }) => partition),
          standbys: here.filter(({ standby }) => standby).map(({ partition }) => partition),
          rowsEstimate: rows,
          bytesEstimate: bytes,
        }
      }),
    )
  }

  #partitionsHere(store: string, { id }: Subtopology): { readonly partition: number; readonly standby: boolean }[] {
    const found: { readonly partition: number; readonly standby: boolean }[] = []
    for (let partition = 0; partition < (this.#world.plan?.tasks[id] ?? 0); partition++) {
      const here = this.#world.rowsOf(store, partition)
      if (here !== undefined) found.push({ partition, standby: here.standby })
    }
    return found
  }

  #locator(name: string): StoreLocator {
    const found = this.#stores.get(name)
    if (found !== undefined) return new StoreLocator(found, this.#names, this.#world)
    const known = [...this.#stores.keys()].join(', ')
    throw new StreamsError('STORE_UNKNOWN', `there is no store "${name}"; the topology has ${known || 'none'}`, {
      store: name,
    })
  }
}
