import { randomUUID } from 'node:crypto'
import { clickHouseMigrationTarget, migrateClickHouse, openClickHouse } from '@millrace/storage/clickhouse'
import { migrateMysql, mysqlMigrations, mysqlMigrationTarget, openMysql } from '@millrace/storage/mysql'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { underMigrationLock } from '../src/clickhouse/migration-lock.ts'
import { parseMigration } from '../src/migration-files.ts'
import { clickHouseOptionsOfTests, mysqlOfTests, mysqlOptionsOfTests } from './servers.ts'

// Databases of their own: what is tried here must not be in those of the other tests.
const database = `millrace_test_${randomUUID().slice(0, 8)}`

/** A migration of two statements; the second fails until `b` exists. */
const halfway = (name: string, table: (name: string) => string) =>
  parseMigration(name, `${table('a')};\nINSERT INTO a SELECT * FROM b;\n`)

describe('MySQL', () => {
  const server = mysqlOfTests()
  const options = { ...mysqlOptionsOfTests(), database }
  const mysql = openMysql({ ...options, connectionsMax: 4 })
  const run = (statement: string) =>
    server.run('preparing a test', (connection) => connection.execute(sql.raw(statement)))
  beforeAll(() => run(`CREATE DATABASE ${database}`))
  afterAll(async () => {
    await run(`DROP DATABASE ${database}`)
    await Promise.all([mysql.close(), server.close()])
  })

  it('is migrated by one of several processes, and tells what it has', async () => {
    const target = mysqlMigrationTarget(options)
    const names = mysqlMigrations().map(({ name }) => name)
    expect((await target.status()).map(({ state }) => state)).toEqual(names.map(() => 'pending'))

    const applied = await Promise.all([migrateMysql(mysql), migrateMysql(mysql), target.migrate()])
    expect(applied.flat()).toEqual(names)
    expect((await target.status()).map(({ name, state }) => `${name} ${state}`)).toEqual(
      names.map((name) => `${name} applied`),
    )

    await run(`UPDATE ${database}.schema_migrations SET checksum = REPEAT('0', 64) WHERE name = '0002_access'`)
    expect((await target.status())[1]).toMatchObject({ name: '0002_access', state: 'changed' })
    await expect(target.migrate()).rejects.toMatchObject({ code: 'MIGRATION_FAILED' })
    await run(`DROP TABLE ${database}.schema_migrations`)
    await target.close()
  })

  it('goes on where a migration ended halfway', async () => {
    const migration = halfway('0001_halfway', (name) => `CREATE TABLE IF NOT EXISTS ${name} (x int PRIMARY KEY)`)
    await expect(migrateMysql(mysql, [migration])).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
    await run(`CREATE TABLE ${database}.b (x int PRIMARY KEY)`)
    expect(await migrateMysql(mysql, [migration])).toEqual(['0001_halfway'])
    expect(await migrateMysql(mysql, [migration])).toEqual([])
  })
})

describe('ClickHouse', () => {
  const options = { ...clickHouseOptionsOfTests(), database }
  const server = openClickHouse({ ...options, database: 'default' })
  const migration = halfway('0001_halfway', (name) => `CREATE TABLE IF NOT EXISTS ${name} (x Int32) ENGINE = Log`)
  afterAll(async () => {
    await server.command('cleaning up', `DROP DATABASE IF EXISTS ${database}`)
    await server.close()
  })

  it('is pending before its database exists', async () => {
    const target = clickHouseMigrationTarget(options)
    const status = await target.status()
    expect(new Set(status.map(({ state }) => state))).toEqual(new Set(['pending']))
    await target.close()
  })

  it('goes on where a migration ended halfway, in one of several processes', async () => {
    await expect(migrateClickHouse(options, [migration])).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
    await server.command('preparing a test', `CREATE TABLE ${database}.b (x Int32) ENGINE = Log`)
    await server.command('preparing a test', `INSERT INTO ${database}.b VALUES (1)`)
    const applied = await Promise.all([1, 2, 3].map(() => migrateClickHouse(options, [migration])))
    expect(applied.flat()).toEqual(['0001_halfway'])
    // Every process would have copied the row.
    expect(await server.query('counting', { sql: `SELECT count() AS rows FROM ${database}.a` })).toEqual([{ rows: 1 }])
  })

  it('waits for whoever holds the lock, and takes it from one that is dead', async () => {
    const clickHouse = openClickHouse(options)
    await clickHouse.command('preparing a test', `CREATE DATABASE IF NOT EXISTS ${database}`)
    const order: string[] = []
    let finish = () => {}
    const first = underMigrationLock(clickHouse, async () => {
      order.push('first begins')
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      order.push('first ends')
    })
    await vi.waitUntil(() => order.length === 1, { timeout: 10_000 })
    const second = underMigrationLock(clickHouse, async () => void order.push('second'))
    finish()
    await Promise.all([first, second])
    expect(order).toEqual(['first begins', 'first ends', 'second'])

    const dead = `CREATE TABLE schema_migration_lock (unused UInt8) ENGINE = Memory COMMENT 'dead'`
    await clickHouse.command('preparing a test', dead)
    await underMigrationLock(clickHouse, async () => void order.push('third'), { staleSeconds: 0 })
    expect(order.at(-1)).toBe('third')
    await clickHouse.close()
  })
})
