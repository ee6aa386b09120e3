/**
 * Memory of the database: write buffers, which all stores (column families) share as equal parts of one budget, and RocksDB's own block cache
 * of 32 MiB per store, which the binding does not let us share or change. It holds indexes, filters and what was read: in a stream that goes on
 * in time few rows are read, and it stays all but empty. A process with five stores takes 64 MiB, and 5 × 32 MiB more only when its data do.
 */
export const writeBuffersBytesMax = 64 * 1024 * 1024
/** One write buffer of a store: below this, files would be too many; above, the flush of one would hold up the others. */
export const writeBufferBytesMin = 2 * 1024 * 1024
export const writeBufferBytesMax = 16 * 1024 * 1024
/** Write buffers per store: one being filled while the other is flushed. */
export const writeBuffersMax = 2
/** Blocks as RocksDB's own default: windows are read by point, not by scan. */
export const tableBlockBytes = 4 * 1024
/** Threads for flushes and compactions; the process has other work for the cores. */
export const backgroundJobsMax = 2
/** Open table files: below the usual limit of 1,024 per process, with room for sockets. */
export const openFilesMax = 512
/** Buffers that are kept for the next write: two for each of 32,768 rows, of some 150 bytes each with what they hold. More rows in one write get new ones. */
export const operandsMax = 65_536
/** Longer ones are rare, and not kept. */
export const operandBytesMax = 128
/** Native batches that are kept for the next write, per store: one for each thread that commits or task that is restored at a time, of 64 bytes for each row. */
export const idleBatchesMax = 4
export const idleBatchRowsMax = 16_384
