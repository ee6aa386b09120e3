import type { TaskNumber } from '../topology/partition-plan.ts'
import { taskId } from './assignment.ts'
import type { RestoreProgress } from './recovery.ts'
import type { BuildRequest, TaskBuilder } from './task-builder.ts'
import type { ActiveTask } from './task-set.ts'

/** What a building is told; the rest is the building's own business. */
export type BuildingRequest = Pick<BuildRequest, 'numbers' | 'member'>

/**
 * Tasks that are being built beside those that run, which go on meanwhile. The thread takes each when it is ready; a failure waits until the
 * thread looks. Every task is closed here unless it was taken.
 */
export class TaskBuildings {
  readonly #builder: TaskBuilder
  readonly #onProgress: (progress: RestoreProgress | undefined) => void
  readonly #buildings = new Set<Building>()
  #failure: { readonly error: unknown } | undefined
  #changed = Promise.withResolvers<void>()

  constructor(builder: TaskBuilder, onProgress: (progress: RestoreProgress | undefined) => void) {
    this.#builder = builder
    this.#onProgress = onProgress
  }

  /** Nothing is being built, and nothing waits to be taken. */
  get isIdle(): boolean {
    return this.#buildings.size === 0
  }

  /** Resolves when a task is ready, or a building has ended. */
  get changed(): Promise<void> {
    return this.#changed.promise
  }

  /** Of all restores under way, added up; undefined when there is none. */
  get progress(): RestoreProgress | undefined {
    let sum: RestoreProgress | undefined
    for (const { progress } of this.#buildings) if (progress !== undefined) sum = added(sum, progress)
    return sum
  }

  /** Partition numbers whose stores are open here. */
  get numbers(): ReadonlySet<number> {
    return new Set([...this.#buildings].flatMap(({ numbers }) => numbers.map(({ partition }) => partition)))
  }

  has(id: string): boolean {
    for (const { ids } of this.#buildings) if (ids.has(id)) return true
    return false
  }

  /** Changelog offsets that a partition number still lacks; undefined when none of its tasks is being built. */
  lagOf(number: number): number | undefined {
    let lag: number | undefined
    for (const building of this.#buildings) {
      if (!building.numbers.some(({ partition }) => partition === number)) continue
      lag ??= 0
      for (const { partition, remaining } of building.progress?.perStore ?? [])
        if (partition === number) lag += remaining
    }
    return lag
  }

  start(request: BuildingRequest): void {
    const { promise: interruption, resolve: interrupt } = Promise.withResolvers<void>()
    const building: Building = {
      numbers: request.numbers,
      ids: new Set(request.numbers.map(taskId)),
      ready: [],
      progress: undefined,
      cancelled: false,
      interrupt,
      done: Promise.resolve(),
      isDone: false,
    }
    this.#buildings.add(building)
    const work = this.#builder.build({
      ...request,
      interrupted: () => building.cancelled,
      interruption,
      onProgress: (progress) => {
        building.progress = progress
        this.#onProgress(this.progress)
      },
      onBuilt: (active) => {
        building.ready.push(active)
        this.#notify()
      },
    })
    building.done = work
      .catch((error: unknown) => {
        if (!building.cancelled) this.#failure ??= { error }
      })
      .finally(() => {
        building.isDone = true
        this.#notify()
      })
  }

  /** The tasks that became ready since the last time; the caller's to close. Throws why a building has failed. */
  take(): readonly ActiveTask[] {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure.error
    const taken: ActiveTask[] = []
    for (const building of this.#buildings) {
      taken.push(...building.ready)
      for (const { task } of building.ready) building.ids.delete(task.id)
      building.ready = []
      if (!building.isDone) continue
      this.#buildings.delete(building)
      this.#onProgress(this.progress)
    }
    return taken
  }

  /** Gives up the buildings that any of these tasks is in; resolves when all their stores are closed. What was restored stays in the stores. */
  async cancel(ids?: ReadonlySet<string>): Promise<void> {
    const given = [...this.#buildings].filter((one) => ids === undefined || [...one.ids].some((id) => ids.has(id)))
    for (const building of given) {
      building.cancelled = true
      building.interrupt()
    }
    for (const building of given) {
      await building.done
      for (const { task } of building.ready) await task.close()
      this.#buildings.delete(building)
    }
    if (ids === undefined) this.#failure = undefined
    if (given.length > 0) this.#onProgress(this.progress)
  }

  #notify(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}

interface Building {
  readonly numbers: readonly TaskNumber[]
  /** Of the tasks that were not taken yet. */
  readonly ids: Set<string>
  ready: ActiveTask[]
  progress: RestoreProgress | undefined
  cancelled: boolean
  readonly interrupt: () => void
  /** Never rejects. */
  done: Promise<void>
  isDone: boolean
}

function added(one: RestoreProgress | undefined, other: RestoreProgress): RestoreProgress {
  if (one === undefined) return other
  const [left, right] = [one.secondsLeft, other.secondsLeft]
  return {
    stores: one.stores + other.stores,
    records: one.records + other.records,
    remaining: one.remaining + other.remaining,
    recordsPerSecond: one.recordsPerSecond + other.recordsPerSecond,
    secondsLeft: left === undefined || right === undefined ? undefined : Math.max(left, right),
    perStore: [...one.perStore, ...other.perStore],
  }
}
