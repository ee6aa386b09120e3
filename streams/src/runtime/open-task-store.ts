import type { ByteStore, TaskStore } from '../state/store.ts'
import { CachedTaskStore } from '../state/task-store.ts'
import type { StoreSpec } from '../topology/topology.ts'

/** Memory that the stores of a thread share evenly: changed as tasks come and go, for the stores that are open, too. */
export interface StoreBudget {
  /** Of one store, half of it for cached and half for changed rows. */
  storeBytesMax: number
}

/** The typed store of a task over its rows, which are complete up to `changelogOffset`. */
export function openTaskStore(
  spec: StoreSpec,
  rows: ByteStore,
  { changelogOffset, budget }: { readonly changelogOffset: number; readonly budget?: StoreBudget },
): TaskStore {
  return new CachedTaskStore({
    name: spec.name,
    rows,
    changelogOffset,
    timestamped: spec.timestamped,
    windowed: spec.kind === 'window',
    get cachedBytesMax() {
      return budget && budget.storeBytesMax / 2
    },
    get dirtyBytesMax() {
      return budget && budget.storeBytesMax / 2
    },
  })
}
