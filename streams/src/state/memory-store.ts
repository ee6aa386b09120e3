import { StreamsError } from '../core/errors.ts'
import { SortedKeys } from './sorted-keys.ts'
import { type ByteStore, type ByteStoreProvider, type Changes, closedStore, type Row } from './store.ts'

/**
 * Rows in memory. They live as long as the provider that opened the store, so that a task which is closed and opened again finds them,
 * as it would on a disk; they die with the process, and are rebuilt from the changelog then.
 */
export class MemoryStore implements ByteStore {
  readonly #content: MemoryContent
  readonly #onClose: () => void
  #closed = false

  constructor(content: MemoryContent = new MemoryContent(), onClose: () => void = () => {}) {
    this.#content = content
    this.#onClose = onClose
  }

  /** The row at once: rows in memory need no loading. */
  peek(key: Buffer): Buffer | null {
    return this.#content.rows.get(key.toString('latin1'))?.value ?? null
  }

  async multiGet(keys: readonly Buffer[]): Promise<readonly (Buffer | null)[]> {
    this.#requireOpen()
    return keys.map((key) => this.peek(key))
  }

  async range(from: Buffer, to: Buffer, limit: number): Promise<readonly Row[]> {
    this.#requireOpen()
    const rows: Row[] = []
    for (const key of this.#content.keys.range(from.toString('latin1'), to.toString('latin1'), limit)) {
      const row = this.#content.rows.get(key)
      if (row !== undefined) rows.push(row)
    }
    return rows
  }

  async lastKey(): Promise<Buffer | undefined> {
    this.#requireOpen()
    const last = this.#content.keys.last()
    return last === undefined ? undefined : Buffer.from(last, 'latin1')
  }

  async changelogOffset(): Promise<number | undefined> {
    return this.#content.changelogOffset
  }

  async write(changes: Changes, changelogOffset: number): Promise<void> {
    // Copies: what is written may be a view of something large, or be used again.
    changes.forEach(({ key, value }) => {
      this.#content.set(Buffer.from(key), value === null ? null : Buffer.from(value))
    })
    this.#content.changelogOffset = changelogOffset
  }

  async wipe(): Promise<void> {
    this.#content.clear()
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#onClose()
    this.#closed = true
  }

  #requireOpen(): void {
    if (this.#closed) throw closedStore()
  }
}

/** What a memory store holds; owned by the provider, shared by the stores that are opened on it one after the other. */
export class MemoryContent {
  readonly rows = new Map<string, Row>()
  readonly keys = new SortedKeys()
  changelogOffset: number | undefined

  set(key: Buffer, value: Buffer | null): void {
    const name = key.toString('latin1')
    const known = this.rows.has(name)
    if (value === null) {
      if (known) this.keys.remove(name)
      this.rows.delete(name)
      return
    }
    if (!known) this.keys.add(name)
    this.rows.set(name, { key, value })
  }

  clear(): void {
    this.rows.clear()
    this.keys.clear()
    this.changelogOffset = undefined
  }
}

/** Stores that live in memory, as long as this provider does. `processId` tells it from other providers. */
export function memoryStores(processId: string): ByteStoreProvider {
  const contents = new Map<string, Map<number, MemoryContent>>()
  const open = new Set<MemoryContent>()

  return {
    processId,
    async open(store, partition) {
      const partitions = contents.get(store) ?? new Map<number, MemoryContent>()
      contents.set(store, partitions)
      const content = partitions.get(partition) ?? new MemoryContent()
      partitions.set(partition, content)
      if (open.has(content)) {
        throw new StreamsError('INVALID_STATE', `store "${store}" of partition ${partition} is open already`, {
          store,
          partition,
        })
      }
      open.add(content)
      return new MemoryStore(content, () => open.delete(content))
    },
    async partitionsOnDisk(store) {
      const partitions = contents.get(store) ?? new Map<number, MemoryContent>()
      return [...partitions]
        .filter(([, content]) => content.changelogOffset !== undefined)
        .map(([partition]) => partition)
        .sort((left, right) => left - right)
    },
    async estimate(store) {
      let rows = 0
      let bytes = 0
      for (const content of contents.get(store)?.values() ?? []) {
        rows += content.rows.size
        for (const { key, value } of content.rows.values()) bytes += key.length + value.length
      }
      return { rows, bytes }
    },
    async discard() {
      contents.clear()
    },
    async close() {
      open.clear()
    },
  }
}
