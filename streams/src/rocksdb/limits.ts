/**
 * Memory of the database: per store (column family) two write buffers, and RocksDB's own block cache of 32 MiB, which the binding does not
 * let us share. A process with five stores stays below 5 × (2 × 8 + 32) = 240 MiB, and reaches that only when the data does.
 */
export const writeBufferBytes = 8 * 1024 * 1024
/** Write buffers per store: one being filled while the other is flushed. */
export const writeBuffersMax = 2
/** Blocks as RocksDB's own default: windows are read by point, not by scan. */
export const tableBlockBytes = 4 * 1024
/** Threads for flushes and compactions; the process has other work for the cores. */
export const backgroundJobsMax = 2
/** Open table files: below the usual limit of 1,024 per process, with room for sockets. */
export const openFilesMax = 512
