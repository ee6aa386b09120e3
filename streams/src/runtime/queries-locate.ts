import type { GroupView } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import type { CommittedRows } from '../state/store.ts'
import type { PartitionPlan } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Subtopology, Topology } from '../topology/topology.ts'
import { sourcesOf } from './assignment.ts'
import type { PageOptions } from './queries-page.ts'
import type { RunState } from './run-states.ts'

/** What queries see of the application. Asked anew for each: everything changes with a rebalance. */
export interface QueryWorld {
  readonly state: RunState
  /** Undefined before the topics were looked at. */
  readonly plan: PartitionPlan | undefined
  /** How the group is divided, and which of its members this process is, by its instance id; undefined before the first assignment. */
  readonly group: { readonly instanceId: string; readonly view: GroupView } | undefined
  /** The rows of a store that are here and restored. `standby` ones may lag behind. */
  rowsOf(store: string, partition: number): { readonly rows: CommittedRows; readonly standby: boolean } | undefined
}

/** Who has the rows of a key. */
export interface StoreOwner {
  readonly partition: number
  /** Where to ask the owner; null when it answers nobody. */
  readonly endpoint: string | null
  /** True when the owner is this process. */
  readonly isLocal: boolean
  /** Where to ask members that keep a copy, for `staleOk`. */
  readonly standbys: readonly string[]
}

/** A partition of a store that is here. */
export interface LocatedRows {
  readonly partition: number
  readonly rows: CommittedRows
}

/** Finds one store's partitions, here and in the group. */
export class StoreLocator {
  readonly spec: StoreSpec
  readonly #subtopology: Subtopology
  readonly #topics: ReadonlySet<string>
  readonly #world: QueryWorld

  constructor(of: StoreOfTopology, names: TopicNames, world: QueryWorld) {
    this.spec = of.spec
    this.#subtopology = of.subtopology
    this.#topics = new Set(sourcesOf(of.subtopology).map((source) => names.topic(source)))
    this.#world = world
  }

  /** The partition that records with this key go to, by Kafka's default partitioner. */
  partitionOf(key: Buffer): number {
    return partitionOfKey(key, this.#partitions())
  }

  /** Throws `STORE_NOT_READY` while nobody has it. */
  ownerOf(partition: number): StoreOwner {
    const { instanceId, view } = this.#group()
    const owner = view.members.find((member) => member.partitions.some((at) => this.#isInput(at, partition)))
    if (owner === undefined) throw this.#notReady(`partition ${partition} is on its way from one member to another`)
    const keepers = view.members.filter((member) => member !== owner && member.standbys.includes(partition))
    return {
      partition,
      endpoint: owner.endpoint,
      isLocal: owner.groupInstanceId === instanceId,
      standbys: keepers.flatMap(({ endpoint }) => endpoint ?? []),
    }
  }

  /** Throws `STORE_ELSEWHERE`, `STORE_NOT_READY`, `CLOSED`; `INVALID_QUERY` for a partition that does not exist. */
  locate(partition: number, { staleOk = false }: PageOptions): LocatedRows {
    this.#throwUnlessOpen()
    const partitions = this.#partitions()
    if (!Number.isSafeInteger(partition) || partition < 0 || partition >= partitions)
      throw new StreamsError(
        'INVALID_QUERY',
        `partition must be a whole number from 0 to ${partitions - 1}, not ${partition}`,
        { store: this.spec.name },
      )
    const here = this.#world.rowsOf(this.spec.name, partition)
    if (here !== undefined && (staleOk || !here.standby)) return { partition, rows: here.rows }
    const owner = this.ownerOf(partition)
    if (owner.isLocal) throw this.#notReady(`partition ${partition} is being restored`)
    const { endpoint } = owner
    throw new StreamsError(
      'STORE_ELSEWHERE',
      `store "${this.spec.name}": partition ${partition} is on another member${endpoint === null ? ', which answers no queries' : `: ask ${endpoint}`}`,
      { store: this.spec.name, partition, ...(endpoint === null ? {} : { endpoint }) },
    )
  }

  /** The partitions that are here, in order. Throws `STORE_NOT_READY` when one of ours is not restored: an answer would lack its rows. */
  here({ staleOk = false }: PageOptions): readonly number[] {
    this.#throwUnlessOpen()
    const { instanceId, view } = this.#group()
    const own = view.members.find((member) => member.groupInstanceId === instanceId)?.partitions ?? []
    const found: number[] = []
    for (let partition = 0; partition < this.#partitions(); partition++) {
      const here = this.#world.rowsOf(this.spec.name, partition)
      if (here !== undefined && (staleOk || !here.standby)) found.push(partition)
      else if (own.some((at) => this.#isInput(at, partition)))
        throw this.#notReady(`partition ${partition} is being restored`)
    }
    return found
  }

  #isInput(at: { readonly topic: string; readonly partition: number }, partition: number): boolean {
    return at.partition === partition && this.#topics.has(at.topic)
  }

  #partitions(): number {
    const partitions = this.#world.plan?.tasks[this.#subtopology.id]
    if (partitions === undefined) throw this.#notReady('the application does not run yet')
    return partitions
  }

  #group() {
    const { group } = this.#world
    if (group === undefined) throw this.#notReady('the group has not assigned any partitions yet')
    return group
  }

  #throwUnlessOpen(): void {
    const { state } = this.#world
    if (state === 'closed' || state === 'failed')
      throw new StreamsError('CLOSED', `store "${this.spec.name}": the application is ${state}`, {
        store: this.spec.name,
      })
  }

  #notReady(reason: string): StreamsError {
    return new StreamsError('STORE_NOT_READY', `store "${this.spec.name}": ${reason}; try again`, {
      store: this.spec.name,
    })
  }
}

/** A store, and where in the topology it is. */
export interface StoreOfTopology {
  readonly spec: StoreSpec
  readonly subtopology: Subtopology
}

/** Every store of a topology, by name. */
export function storesOf(topology: Topology): ReadonlyMap<string, StoreOfTopology> {
  return new Map(
    topology.subtopologies.flatMap((subtopology) =>
      subtopology.stores.map((spec) => [spec.name, { spec, subtopology }] as const),
    ),
  )
}
