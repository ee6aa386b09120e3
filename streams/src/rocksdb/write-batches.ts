import type RocksDB from 'rocksdb-native'
import type { Changes } from '../state/store.ts'
import { idleBatchesMax, idleBatchRowsMax } from './limits.ts'
import { Operands } from './operands.ts'
import { rowKeyInto, rowPrefixBytes } from './row-layout.ts'

type NativeBatch = ReturnType<RocksDB['write']>

/**
 * Writes to one database, with batches and buffers that are used again. The binding wants two buffers for each row, which live until another thread has
 * written them: made anew they were a good part of what the garbage collector had to copy. A native batch clears its whole memory when it is made.
 */
export class WriteBatches {
  readonly #idle = new Map<RocksDB, IdleBatch[]>()
  readonly #operands = new Operands()
  #isClosed = false

  /** Writes what changed in a partition, and one more row, as one. `changes` are read before this returns. */
  async write(family: RocksDB, { partition, changes, also }: RowChanges): Promise<void> {
    const { batch, capacity } = this.#take(family, changes.length + 1)
    const operands = this.#operands
    const used: Buffer[] = []
    changes.forEach(({ key, value }) => {
      const rowKey = operands.take(rowPrefixBytes + key.length, used)
      rowKeyInto(rowKey, partition, key)
      if (value === null) batch.tryDelete(rowKey)
      else batch.tryPut(rowKey, operands.copyOf(value, used))
    })
    batch.tryPut(also.key, also.value)
    let isReusable = false
    try {
      await batch.flush()
      isReusable = true
    } finally {
      this.#operands.takeBack(used)
      if (isReusable) this.#giveBack(family, { batch, capacity })
      else batch.destroy()
    }
  }

  /** Lets go of what is idle now or will be: before the database is closed, which waits for it. */
  close(): void {
    this.#isClosed = true
    for (const batches of this.#idle.values()) for (const { batch } of batches) batch.destroy()
    this.#idle.clear()
  }

  #take(family: RocksDB, rows: number): IdleBatch {
    const idle = this.#idle.get(family) ?? []
    const at = idle.findIndex(({ capacity }) => capacity >= rows)
    const [known] = at < 0 ? [] : idle.splice(at, 1)
    if (known !== undefined) return known
    const capacity = 2 ** Math.ceil(Math.log2(rows))
    return { batch: family.write({ capacity }), capacity }
  }

  #giveBack(family: RocksDB, batch: IdleBatch): void {
    const idle = this.#idle.get(family) ?? []
    if (this.#isClosed || batch.capacity > idleBatchRowsMax) {
      batch.batch.destroy()
      return
    }
    // The smallest goes first: whoever needed more will need it again.
    idle.push(batch)
    idle.sort((one, other) => one.capacity - other.capacity)
    if (idle.length > idleBatchesMax) idle.shift()?.batch.destroy()
    this.#idle.set(family, idle)
  }
}

/** What one write is made of. */
export interface RowChanges {
  readonly partition: number
  readonly changes: Changes
  /** A row by its whole key in the database. */
  readonly also: { readonly key: Buffer; readonly value: Buffer }
}

interface IdleBatch {
  readonly batch: NativeBatch
  readonly capacity: number
}
