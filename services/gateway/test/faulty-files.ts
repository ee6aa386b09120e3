import type { SpillFile, SpillFiles } from '../src/spill/files.ts'

/** Calls that can be made to fail. */
export type FileOperation = 'write' | 'sync' | 'create' | 'truncate' | 'remove' | 'syncDirectory'

interface Inode {
  content: Buffer
  /** What the disk has. */
  synced: Buffer
}

/**
 * A directory in memory with a disk behind it that only has what was synced. `crash` gives the directory that would be found after a power
 * cut: of what was not synced, any part may be there.
 */
export class FaultyFiles implements SpillFiles {
  readonly #names: Map<string, Inode>
  #syncedNames: Map<string, Inode>
  readonly #faults = new Map<FileOperation, { readonly error: Error; readonly partial: number }[]>()
  /** How often `SpillFile.sync` was called. */
  syncs = 0
  /** Called before a file is synced. */
  onSync: () => Promise<void> = async () => {}

  constructor(names: Map<string, Inode> = new Map()) {
    this.#names = names
    this.#syncedNames = new Map(names)
  }

  /** Makes the next call fail; a write leaves `partial` of its bytes (0 to 1). */
  failNext(operation: FileOperation, error: Error, partial = 0): void {
    this.#faults.set(operation, [...(this.#faults.get(operation) ?? []), { error, partial }])
  }

  /** Forgets the failures that have not happened yet. */
  heal(): void {
    this.#faults.clear()
  }

  /** What a process finds that starts after a power cut at this moment. */
  crash(random: () => number): FaultyFiles {
    const names = new Map(random() < 0.5 ? this.#names : this.#syncedNames)
    const found = new Map<string, Inode>()
    for (const [name, { content, synced }] of names) {
      const least = Math.min(synced.length, content.length)
      const most = Math.max(synced.length, content.length)
      const whole = content.length >= synced.length ? content : synced
      const kept = Buffer.from(whole.subarray(0, least + Math.floor(random() * (most - least + 1))))
      // The disk may have the file's size, and not the last block's content.
      if (kept.length > synced.length && random() < 0.3) kept.fill(0, Math.max(synced.length, kept.length - 7))
      found.set(name, { content: kept, synced: kept })
    }
    return new FaultyFiles(found)
  }

  /** Changes a file behind everybody's back. */
  damage(name: string, change: (content: Buffer) => void): void {
    const inode = this.#names.get(name)
    if (inode === undefined) throw new Error(`there is no ${name}`)
    change(inode.content)
  }

  async list(): Promise<readonly string[]> {
    return [...this.#names.keys()]
  }

  async create(name: string): Promise<SpillFile> {
    if (this.#names.has(name)) throw new Error(`EEXIST: ${name}`)
    const inode: Inode = { content: Buffer.alloc(0), synced: Buffer.alloc(0) }
    this.#names.set(name, inode)
    this.#perform('create')
    return this.#file(inode)
  }

  async open(name: string): Promise<SpillFile> {
    const inode = this.#names.get(name)
    if (inode === undefined) throw new Error(`ENOENT: ${name}`)
    return this.#file(inode)
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#names.get(from)
    if (inode === undefined) throw new Error(`ENOENT: ${from}`)
    this.#names.delete(from)
    this.#names.set(to, inode)
  }

  async remove(name: string): Promise<void> {
    this.#perform('remove')
    this.#names.delete(name)
  }

  async sync(): Promise<void> {
    this.#perform('syncDirectory')
    this.#syncedNames = new Map(this.#names)
  }

  #file(inode: Inode): SpillFile {
    return {
      write: async (buffers, position) => {
        const bytes = Buffer.concat(buffers)
        const fault = this.#faults.get('write')?.shift()
        const taken = bytes.subarray(0, Math.floor(bytes.length * (fault?.partial ?? 1)))
        const size = Math.max(inode.content.length, position + taken.length)
        const content = Buffer.alloc(size)
        inode.content.copy(content)
        taken.copy(content, position)
        inode.content = content
        if (fault !== undefined) throw fault.error
      },
      read: async (position, length) => Buffer.from(inode.content.subarray(position, position + length)),
      truncate: async (size) => {
        this.#perform('truncate')
        inode.content = Buffer.from(inode.content.subarray(0, size))
      },
      sync: async () => {
        await this.onSync()
        this.syncs++
        this.#perform('sync')
        inode.synced = Buffer.from(inode.content)
      },
      size: async () => inode.content.length,
      close: async () => {},
    }
  }

  #perform(operation: FileOperation): void {
    const fault = this.#faults.get(operation)?.shift()
    if (fault !== undefined) throw fault.error
  }
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
