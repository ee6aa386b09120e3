import { drizzle, type MySql2Database } from 'drizzle-orm/mysql2'
import { createPool, type PoolConnection } from 'mysql2/promise'
import { StorageError } from '../errors.ts'
import { type InsertNew, insertNewOn } from './insert-new.ts'
import {
  callTimeoutMsDefault,
  connectTimeoutMsDefault,
  lockWaitSeconds,
  poolConnectionsDefault,
  poolWaitingMax,
} from './limits.ts'
import { translateMysqlError } from './translate-error.ts'

/** Drizzle on one connection. */
export type Database = MySql2Database

/** Where MySQL is, and how much of it one process takes. */
export interface MysqlOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** Default 8. */
  readonly connectionsMax?: number
  /** Default 5,000. */
  readonly connectTimeoutMs?: number
  /** One `run` or `transaction`, the wait for a connection included. Default 15,000. */
  readonly callTimeoutMs?: number
}

/** A bounded pool of connections to one database. Every error it throws is a `StorageError`. */
export interface Mysql {
  /** Runs `work` on one connection, outside a transaction. `what` completes "MySQL failed while …". */
  run<T>(what: string, work: (database: Database) => Promise<T>, options?: CallOptions): Promise<T>
  /**
   * Runs `work` in one transaction (READ COMMITTED): committed when it resolves, rolled back when it throws. After `UNAVAILABLE` or `TIMED_OUT` the
   * transaction may have been committed or not: only an idempotent `work` may be repeated.
   */
  transaction<T>(
    what: string,
    work: (database: Database, insertNew: InsertNew) => Promise<T>,
    options?: CallOptions,
  ): Promise<T>
  /** Resolves when the database answers a query. */
  ping(): Promise<void>
  /** Closes all connections; idempotent. */
  close(): Promise<void>
}

/** Overrides for one call. */
export interface CallOptions {
  readonly timeoutMs?: number
  /** The server ends a SELECT after this long, with `QUERY_TOO_EXPENSIVE`. Default 0: it does not. */
  readonly selectMsMax?: number
}

/** Every connection is set up alike, whatever the server's own defaults are: strict, UTC, no gap locks, no long waits for locks. */
const sessionStatement = `SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION',
  time_zone = '+00:00', transaction_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = ${lockWaitSeconds}`

/**
 * Each server has a variable of its own for this, and a kind of comment that the other one does not read. MariaDB ends every statement after this long, MySQL
 * those that only read.
 */
function selectBoundStatement(ms: number): string {
  return `SET SESSION /*M!100100 max_statement_time = ${ms / 1_000} */ /*!80000 max_execution_time = ${ms} */`
}

/** Makes a pool. No connection is opened yet: the first call does, and `ping` tells whether one can be. */
export function openMysql(options: MysqlOptions): Mysql {
  const { connectionsMax = poolConnectionsDefault, callTimeoutMs = callTimeoutMsDefault } = options
  const pool = createPool({
    host: options.host,
    port: options.port,
    user: options.user,
    password: options.password,
    database: options.database,
    connectTimeout: options.connectTimeoutMs ?? connectTimeoutMsDefault,
    connectionLimit: connectionsMax,
    maxIdle: connectionsMax,
    idleTimeout: 60_000,
    enableKeepAlive: true,
    timezone: 'Z',
    charset: 'utf8mb4_unicode_ci',
    supportBigNumbers: true,
    multipleStatements: false,
    // Rows that are set to what they were do not count as changed: that is how `insertNew` tells them from new ones.
    flags: ['-FOUND_ROWS'],
  })
  const prepared = new WeakSet<object>()
  /** By connection, in milliseconds; one that is not here has none. */
  const selectBounds = new WeakMap<object, number>()
  let waiting = 0
  let closed: Promise<void> | undefined

  async function connect(): Promise<PoolConnection> {
    if (waiting >= poolWaitingMax) {
      throw new StorageError('OVERLOADED', `${waiting} callers wait for a connection to MySQL: more are not let in`)
    }
    waiting++
    try {
      return await prepare(await pool.getConnection())
    } finally {
      waiting--
    }
  }

  /** The pool hands out a new wrapper each time; the connection below it is the one that keeps its settings. */
  async function prepare(connection: PoolConnection): Promise<PoolConnection> {
    if (prepared.has(connection.connection)) return connection
    try {
      await connection.query(sessionStatement)
    } catch (error) {
      connection.destroy()
      throw error
    }
    prepared.add(connection.connection)
    return connection
  }

  /** A connection keeps its bound from call to call: only one that had another is told. */
  async function bound(connection: PoolConnection, selectMsMax: number): Promise<void> {
    if ((selectBounds.get(connection.connection) ?? 0) === selectMsMax) return
    await connection.query(selectBoundStatement(selectMsMax))
    selectBounds.set(connection.connection, selectMsMax)
  }

  async function call<T>(
    what: string,
    work: (connection: PoolConnection) => Promise<T>,
    { timeoutMs = callTimeoutMs, selectMsMax = 0 }: CallOptions,
  ): Promise<T> {
    let connection: PoolConnection | undefined
    let expired = false
    const onConnection = async () => {
      connection = await connect()
      if (expired) {
        connection.release()
        throw new StorageError('TIMED_OUT', `MySQL gave a connection too late for ${what}`)
      }
      await bound(connection, selectMsMax)
      return await work(connection)
    }
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        expired = true
        reject(new StorageError('TIMED_OUT', `MySQL did not finish within ${timeoutMs} ms while ${what}`))
      }, timeoutMs)
    })
    try {
      const result = await Promise.race([onConnection(), deadline])
      connection?.release()
      return result
    } catch (error) {
      // Whatever the connection was doing, nobody waits for it any more: a fresh one costs a millisecond.
      connection?.destroy()
      throw translateMysqlError(error, what)
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    run: (what, work, options = {}) => call(what, (connection) => work(drizzle(connection)), options),

    transaction: (what, work, options = {}) => call(what, (connection) => inTransaction(connection, work), options),

    async ping() {
      await call('answering a ping', async (connection) => connection.query('SELECT 1'), { timeoutMs: 2_000 })
    },

    close() {
      closed ??= pool.end()
      return closed
    },
  }
}

async function inTransaction<T>(
  connection: PoolConnection,
  work: (database: Database, insertNew: InsertNew) => Promise<T>,
): Promise<T> {
  await connection.query('START TRANSACTION')
  // An error leaves the transaction open on purpose: the caller destroys the connection, which rolls it back.
  const result = await work(drizzle(connection), insertNewOn(connection))
  await connection.query('COMMIT')
  return result
}
