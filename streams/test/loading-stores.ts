import type { ByteStore, ByteStoreProvider } from '../src/state/store.ts'

/** Stores whose rows must be loaded before they are read, as those of a database, over rows that are in memory. */
export function loadingStores(inMemory: ByteStoreProvider): ByteStoreProvider {
  return {
    ...inMemory,
    async open(store, partition): Promise<ByteStore> {
      const rows = await inMemory.open(store, partition)
      return {
        multiGet: (keys) => rows.multiGet(keys),
        range: (from, to, limit) => rows.range(from, to, limit),
        lastKey: () => rows.lastKey(),
        changelogOffset: () => rows.changelogOffset(),
        write: (changes, changelogOffset) => rows.write(changes, changelogOffset),
        wipe: () => rows.wipe(),
        close: () => rows.close(),
      }
    },
  }
}
