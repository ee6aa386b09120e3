import type { ByteStore, TaskStore } from '../state/store.ts'
import { CachedTaskStore } from '../state/task-store.ts'
import type { StoreSpec } from '../topology/topology.ts'

/** The typed store of a task over its rows, which are complete up to `changelogOffset`. `bytesMax`: memory for it, half cached and half changed rows. */
export function openTaskStore(
  spec: StoreSpec,
  rows: ByteStore,
  options: { readonly changelogOffset: number; readonly bytesMax?: number },
): TaskStore {
  const half = options.bytesMax === undefined ? undefined : Math.ceil(options.bytesMax / 2)
  return new CachedTaskStore({
    name: spec.name,
    rows,
    changelogOffset: options.changelogOffset,
    timestamped: spec.timestamped,
    windowed: spec.kind === 'window',
    ...(half === undefined ? {} : { cachedBytesMax: half, dirtyBytesMax: half }),
  })
}
