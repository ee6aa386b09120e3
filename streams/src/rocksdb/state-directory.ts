import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { StreamsError } from '../core/errors.ts'

/**
 * The files beside the database:
 *
 *   <directory>/process-id    the id that transactional ids are made of; as old as the directory
 *   <directory>/owner         who holds the lock, for people: pid and host
 *   <directory>/stores        the column families that exist, one per line: all must be named to open the database
 *   <directory>/rocksdb/      the database, with RocksDB's own LOCK
 *   <directory>/rocksdb.damaged/   the last database that could not be read, kept for inspection
 */
export class StateDirectory {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  get database(): string {
    return join(this.#path, 'rocksdb')
  }

  get damagedDatabase(): string {
    return join(this.#path, 'rocksdb.damaged')
  }

  async create(): Promise<void> {
    try {
      await mkdir(this.#path, { recursive: true })
    } catch (cause) {
      throw new StreamsError('STORE_FAILED', `the state directory ${this.#path} cannot be made`, { cause })
    }
  }

  /** Call with the lock held: two processes must not make two ids. */
  async processId(): Promise<string> {
    const known = (await this.#read('process-id')).trim()
    if (known !== '') return known
    const made = randomUUID()
    await this.#write('process-id', `${made}\n`)
    return made
  }

  async storeNames(): Promise<readonly string[]> {
    return (await this.#read('stores')).split('\n').filter((line) => line !== '')
  }

  async writeStoreNames(names: readonly string[]): Promise<void> {
    await this.#write('stores', names.map((name) => `${name}\n`).join(''))
  }

  async owner(): Promise<string> {
    return (await this.#read('owner')).trim()
  }

  async writeOwner(owner: string): Promise<void> {
    await this.#write('owner', `${owner}\n`)
  }

  /** Moves the database aside; what was moved aside before is deleted. */
  async putDatabaseAside(): Promise<void> {
    try {
      await rm(this.damagedDatabase, { recursive: true, force: true })
      await rename(this.database, this.damagedDatabase)
      await rm(join(this.#path, 'stores'), { force: true })
    } catch (cause) {
      throw new StreamsError('STORE_FAILED', `the damaged database ${this.database} cannot be moved aside`, { cause })
    }
  }

  /** '' when there is no such file. */
  async #read(name: string): Promise<string> {
    try {
      return await readFile(join(this.#path, name), 'utf8')
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return ''
      throw new StreamsError('STORE_FAILED', `${join(this.#path, name)} cannot be read`, { cause })
    }
  }

  /** Whole or not at all, also when the machine dies. */
  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#path, name)
    try {
      const file = await open(`${path}.new`, 'w')
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
    } catch (cause) {
      throw new StreamsError('STORE_FAILED', `${path} cannot be written`, { cause })
    }
  }
}
