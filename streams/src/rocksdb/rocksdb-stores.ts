import { hostname } from 'node:os'
import { pid } from 'node:process'
import RocksDB from 'rocksdb-native'
import { hasCode, StreamsError } from '../core/errors.ts'
import { type Logger, silentLogger } from '../core/logger.ts'
import type { ByteStore, ByteStoreProvider, StoreEstimate } from '../state/store.ts'
import { translateDatabaseError } from './database-error.ts'
import {
  backgroundJobsMax,
  openFilesMax,
  tableBlockBytes,
  writeBufferBytesMax,
  writeBufferBytesMin,
  writeBuffersBytesMax,
  writeBuffersMax,
} from './limits.ts'
import { RocksDbStore } from './rocksdb-store.ts'
import { partitionBound, partitionOfKey } from './row-layout.ts'
import { StateDirectory } from './state-directory.ts'
import { WriteBatches } from './write-batches.ts'

/** Where state is kept, and of which stores. */
export interface RocksDbStoresOptions {
  /** Of one application, and one process at a time. Made when it does not exist. */
  readonly directory: string
  /** Every store that will be opened: column families are made with the database (`storeNames(topology)`). */
  readonly stores: readonly string[]
  readonly logger?: Logger
}

/**
 * Opens the database in `directory` and takes its lock; throws `STORE_LOCKED` when another process has it. A database that cannot be read is
 * moved to `rocksdb.damaged` and an empty one begun, which the engine fills from the changelogs. Stores of an earlier topology stay untouched.
 */
export async function openRocksDbStores(options: RocksDbStoresOptions): Promise<ByteStoreProvider> {
  const directory = new StateDirectory(options.directory)
  const logger = options.logger ?? silentLogger
  await directory.create()
  const database = await openOrRebuild(directory, options.stores, logger)
  return new RocksDbStores({
    directory,
    logger,
    database,
    names: options.stores,
    processId: await directory.processId(),
  })
}

class RocksDbStores implements ByteStoreProvider {
  readonly processId: string
  readonly #directory: StateDirectory
  readonly #names: readonly string[]
  readonly #logger: Logger
  #database: OpenDatabase
  readonly #open = new Set<string>()
  #closing: Promise<void> | undefined

  constructor(options: {
    directory: StateDirectory
    logger: Logger
    database: OpenDatabase
    names: readonly string[]
    processId: string
  }) {
    this.processId = options.processId
    this.#directory = options.directory
    this.#logger = options.logger
    this.#database = options.database
    this.#names = options.names
  }

  async open(store: string, partition: number): Promise<ByteStore> {
    const family = this.#family(store)
    const id = `${partition} ${store}`
    if (this.#open.has(id)) {
      throw new StreamsError('INVALID_STATE', `store "${store}" of partition ${partition} is open already`, {
        store,
        partition,
      })
    }
    this.#open.add(id)
    const { batches } = this.#database
    return new RocksDbStore({ family, batches, name: store, partition, onClose: () => this.#open.delete(id) })
  }

  async partitionsOnDisk(store: string): Promise<readonly number[]> {
    const family = this.#family(store)
    const found: number[] = []
    try {
      for (let from = 0; ; ) {
        const next = await firstKey(family, partitionBound(from))
        if (next === undefined) return found
        found.push(partitionOfKey(next))
        from = partitionOfKey(next) + 1
      }
    } catch (error) {
      throw translateDatabaseError(error, `store "${store}": its partitions could not be listed`, store)
    }
  }

  async estimate(store: string): Promise<StoreEstimate> {
    const family = this.#family(store)
    try {
      const [rows, live, inMemory] = await Promise.all(
        ['rocksdb.estimate-num-keys', 'rocksdb.estimate-live-data-size', 'rocksdb.cur-size-all-mem-tables'].map(
          async (property) => Number((await family.getProperty(property)) ?? 0),
        ),
      )
      return { rows: rows ?? 0, bytes: (live ?? 0) + (inMemory ?? 0) }
    } catch (error) {
      throw translateDatabaseError(error, `store "${store}": its size could not be estimated`, store)
    }
  }

  async discard(): Promise<void> {
    if (this.#open.size > 0) {
      throw new StreamsError(
        'INVALID_STATE',
        `${this.#open.size} stores are open: close them before their database is discarded`,
      )
    }
    await closeDatabase(this.#database)
    await this.#directory.putDatabaseAside()
    this.#logger.warn(
      { moved_to: this.#directory.damagedDatabase },
      'state discarded: it is rebuilt from the changelogs',
    )
    this.#database = await openDatabase(this.#directory, this.#names)
  }

  close(): Promise<void> {
    this.#closing ??= closeDatabase(this.#database)
    return this.#closing
  }

  #family(store: string): RocksDB {
    const family = this.#database.families.get(store)
    if (this.#closing !== undefined || family === undefined) {
      const reason =
        family === undefined
          ? 'was not named when the state directory was opened'
          : 'cannot be opened: its database is closed'
      throw new StreamsError('INVALID_STATE', `store "${store}" ${reason}`, { store })
    }
    return family
  }
}

interface OpenDatabase {
  readonly root: RocksDB
  readonly families: ReadonlyMap<string, RocksDB>
  readonly batches: WriteBatches
}

/** Waits for reads and writes under way, also of those that nobody has awaited. */
async function closeDatabase({ root, batches }: OpenDatabase): Promise<void> {
  batches.close()
  await root.close({ force: true })
}

async function openOrRebuild(
  directory: StateDirectory,
  stores: readonly string[],
  logger: Logger,
): Promise<OpenDatabase> {
  try {
    return await openDatabase(directory, stores)
  } catch (error) {
    if (!hasCode(error, 'STORE_CORRUPT')) throw error
    await directory.putDatabaseAside()
    logger.warn(
      { err: error, moved_to: directory.damagedDatabase },
      'state could not be read: moved aside, it is rebuilt from the changelogs',
    )
    return openDatabase(directory, stores)
  }
}

async function openDatabase(directory: StateDirectory, stores: readonly string[]): Promise<OpenDatabase> {
  const known = await directory.storeNames()
  const names = [...new Set([...known, ...stores])]
  // Before the database has them: a name too many makes an empty family, a name too few keeps the database shut.
  if (names.length > known.length) await directory.writeStoreNames(names)
  const root = new RocksDB(directory.database, {
    columnFamilies: names,
    maxBackgroundJobs: backgroundJobsMax,
    maxOpenFiles: openFilesMax,
    maxWriteBufferNumber: writeBuffersMax,
    writeBufferSize: writeBufferBytes(names.length),
    tableBlockSize: tableBlockBytes,
    optimizeFiltersForMemory: true,
  })
  try {
    await root.ready()
  } catch (error) {
    const translated = translateDatabaseError(error, `the state directory ${directory.database} cannot be opened`)
    if (!hasCode(translated, 'STORE_LOCKED')) throw translated
    const owner = await directory.owner()
    throw new StreamsError(
      'STORE_LOCKED',
      `the state directory ${directory.database} is in use${owner === '' ? '' : ` by ${owner}`}: stop that process, or give this one a directory of its own`,
      { cause: error },
    )
  }
  await directory.writeOwner(`process ${pid} on ${hostname()}`)
  return {
    root,
    families: new Map(names.map((name) => [name, root.columnFamily(name)])),
    batches: new WriteBatches(),
  }
}

async function firstKey(family: RocksDB, from: Buffer): Promise<Buffer | undefined> {
  for await (const { key } of family.iterator({ gte: from }, { limit: 1, capacity: 2, values: false })) return key
  return undefined
}

/** One write buffer of each of so many stores. */
function writeBufferBytes(stores: number): number {
  const share = Math.floor(writeBuffersBytesMax / Math.max(stores, 1) / writeBuffersMax)
  return Math.min(Math.max(share, writeBufferBytesMin), writeBufferBytesMax)
}
