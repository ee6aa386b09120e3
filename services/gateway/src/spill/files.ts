/** One open file of a spill directory. One writer, no two calls at the same time. */
export interface SpillFile {
  /** Writes all of `buffers` from `position` on; resolved means that the system has them, not the disk. Throws the system's error, after which any part may be written. */
  write(buffers: readonly Buffer[], position: number): Promise<void>
  /** At most `length` bytes from `position` on; fewer at the end of the file. */
  read(position: number, length: number): Promise<Buffer>
  truncate(size: number): Promise<void>
  /** Resolved means that content and size are on the disk. */
  sync(): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** The directory of a spill log: names without slashes. What is created, renamed or removed lasts only after `sync`. */
export interface SpillFiles {
  list(): Promise<readonly string[]>
  /** Creates a file. Throws when there is one. */
  create(name: string): Promise<SpillFile>
  /** Opens a file that exists, to read and write. */
  open(name: string): Promise<SpillFile>
  /** Replaces a file that may exist. */
  rename(from: string, to: string): Promise<void>
  /** Removes a file that may exist. */
  remove(name: string): Promise<void>
  sync(): Promise<void>
}
