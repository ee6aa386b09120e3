/** What this package uses of `rocksdb-native` 3.18.1, which ships without types. */
declare module 'rocksdb-native' {
  interface Options {
    columnFamilies?: readonly string[]
    maxBackgroundJobs?: number
    maxOpenFiles?: number
    maxWriteBufferNumber?: number
    writeBufferSize?: number
    tableBlockSize?: number
    optimizeFiltersForMemory?: boolean
  }

  interface ReadBatch {
    /** Rejects when `flush` does. */
    get(key: Buffer): Promise<Buffer | null>
    flush(): Promise<void>
    destroy(): void
  }

  interface WriteBatch {
    tryPut(key: Buffer, value: Buffer): void
    tryDelete(key: Buffer): void
    /** `end` is exclusive. */
    tryDeleteRange(start: Buffer, end: Buffer): void
    flush(): Promise<void>
    destroy(): void
  }

  class RocksDB {
    constructor(path: string, options?: Options)
    ready(): Promise<void>
    /** A session on one column family; the database stays open until all are closed. */
    columnFamily(name: string): RocksDB
    read(options?: { capacity?: number }): ReadBatch
    write(options?: { capacity?: number }): WriteBatch
    iterator(
      range: { gte?: Buffer; lt?: Buffer },
      options?: { limit?: number; capacity?: number; values?: boolean; reverse?: boolean },
    ): AsyncIterable<{ key: Buffer; value: Buffer }>
    /** A figure of RocksDB's own about this column family, as text; null when it is not known. */
    getProperty(name: string): Promise<string | null>
    close(options?: { force?: boolean }): Promise<void>
  }

  export default RocksDB
}
