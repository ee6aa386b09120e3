import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { StorageError } from '../errors.ts'
import type { ClickHouse } from './clickhouse.ts'
import { migrationLockPollMs, migrationLockRenewMs, migrationLockStaleSeconds, migrationLockWaitMs } from './limits.ts'
import { numberOf, textOf } from './row.ts'

/** ClickHouse's number for a table that is there already. */
const tableExists = 57

/**
 * Runs `work` while no other process does so in this database. ClickHouse has no locks, but of two that create a table one is refused: the table is the lock, its comment says
 * whose it is, and its owner touches it all the while. One that nobody has touched for a minute belongs to a process that is dead, and is taken over. Throws `MIGRATION_FAILED` when
 * another one holds it for too long, or has taken it away from this one.
 */
export async function underMigrationLock<T>(
  clickHouse: ClickHouse,
  work: () => Promise<T>,
  { staleSeconds = migrationLockStaleSeconds }: { readonly staleSeconds?: number } = {},
): Promise<T> {
  const owner = randomUUID()
  await take(clickHouse, owner, staleSeconds)
  let lost: StorageError | undefined
  let renewing: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    renewing = renew(clickHouse, owner).catch((error: unknown) => {
      if (error instanceof StorageError && !error.retryable) lost = error
    })
  }, migrationLockRenewMs)
  try {
    const result = await work()
    if (lost !== undefined) throw lost
    return result
  } finally {
    clearInterval(timer)
    await renewing
    // What cannot be given back is taken over by the next one.
    if ((await ownerOf(clickHouse).catch(() => undefined))?.owner === owner) {
      await clickHouse.command('giving the lock back', `DROP TABLE IF EXISTS ${lockTable}`).catch(() => undefined)
    }
  }
}

const lockTable = 'schema_migration_lock'

async function take(clickHouse: ClickHouse, owner: string, staleSeconds: number): Promise<void> {
  const startedMs = performance.now()
  while (performance.now() - startedMs < migrationLockWaitMs) {
    if (await create(clickHouse, owner)) {
      // Two that found the same dead owner may both have dropped its table: the one that was quicker finds the other's.
      await delay(migrationLockPollMs)
      if ((await ownerOf(clickHouse))?.owner === owner) return
    } else {
      const held = await ownerOf(clickHouse)
      if (held !== undefined && held.silentSeconds > staleSeconds) {
        await clickHouse.command('taking the lock over', `DROP TABLE IF EXISTS ${lockTable}`)
      } else {
        await delay(migrationLockPollMs)
      }
    }
  }
  throw new StorageError(
    'MIGRATION_FAILED',
    `Another process has been migrating ClickHouse for more than ${migrationLockWaitMs / 1_000} s: wait for it, or end it`,
  )
}

async function create(clickHouse: ClickHouse, owner: string): Promise<boolean> {
  try {
    const sql = `CREATE TABLE ${lockTable} (unused UInt8) ENGINE = Memory COMMENT '${owner}'`
    await clickHouse.command('taking the lock', sql)
    return true
  } catch (error) {
    if (error instanceof StorageError && error.databaseCode === tableExists) return false
    throw error
  }
}

async function renew(clickHouse: ClickHouse, owner: string): Promise<void> {
  if ((await ownerOf(clickHouse))?.owner !== owner) {
    throw new StorageError('MIGRATION_FAILED', 'another process has taken the lock: run the migration again')
  }
  // The time of its metadata moves with every statement that alters it.
  await clickHouse.command('keeping the lock', `ALTER TABLE ${lockTable} MODIFY COMMENT '${owner}'`)
}

async function ownerOf(clickHouse: ClickHouse) {
  const [row] = await clickHouse.query('reading the lock', {
    sql: `SELECT comment AS owner, dateDiff('second', metadata_modification_time, now()) AS silent_seconds
          FROM system.tables WHERE database = {database:String} AND name = {name:String}`,
    params: { database: clickHouse.database, name: lockTable },
  })
  return row && { owner: textOf(row, 'owner'), silentSeconds: numberOf(row, 'silent_seconds') }
}
