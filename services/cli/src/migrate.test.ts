import { type MigrationStatus, type MigrationTarget, StorageError } from '@millrace/storage/mysql'
import { expect, it } from 'vitest'
import { runMigrate } from './migrate.ts'

const appliedAt = new Date('2026-11-21T09:30:00Z')

/** Databases that have what they are told, and note what is done to them. */
function databases(states: Readonly<Record<string, MigrationStatus['state']>>, failure?: Error) {
  const printed: string[] = []
  const target = (name: string): MigrationTarget => ({
    name,
    ping: async () => undefined,
    status: async () => [
      {
        name: '0001_first',
        state: states[name] ?? 'applied',
        appliedAt: states[name] === 'pending' ? null : appliedAt,
      },
    ],
    migrate: async () => {
      if (failure !== undefined) throw failure
      return states[name] === 'pending' ? ['0001_first'] : []
    },
    close: async () => void printed.push(`closed ${name}`),
  })
  const deps = {
    databases: { mysql: () => target('MySQL'), clickhouse: () => target('ClickHouse') },
    ready: (database: MigrationTarget) => database.ping(),
    print: (line: string) => void printed.push(line),
    tell: () => undefined,
  }
  return { printed, run: (...args: string[]) => runMigrate(args, deps) }
}

it('migrates both databases, or the one that is named', async () => {
  const both = databases({ MySQL: 'pending' })
  await both.run()
  expect(both.printed).toEqual([
    'MySQL was migrated: 0001_first',
    'closed MySQL',
    'ClickHouse is up to date',
    'closed ClickHouse',
  ])
  const one = databases({})
  await one.run('clickhouse')
  expect(one.printed).toEqual(['ClickHouse is up to date', 'closed ClickHouse'])
})

it('tells what would be done, and what would be refused', async () => {
  const sound = databases({ MySQL: 'pending' })
  await sound.run('--dry-run', 'mysql')
  expect(sound.printed).toEqual([
    'DATABASE  MIGRATION   STATE    APPLIED',
    'MySQL     0001_first  pending',
    'closed MySQL',
  ])
  const changed = databases({ ClickHouse: 'changed' })
  await expect(changed.run('--dry-run')).rejects.toMatchObject({ code: 'REFUSED', exitCode: 1 })
  expect(changed.printed).toContain('ClickHouse  0001_first  changed  2026-11-21T09:30:00.000Z')
})

it('says why a migration was refused, and closes what it opened', async () => {
  const refused = databases({}, new StorageError('MIGRATION_FAILED', 'Migration "0001_first" was changed'))
  await expect(refused.run('mysql')).rejects.toThrow(/0001_first/)
  expect(refused.printed).toEqual(['closed MySQL'])
  await expect(databases({}).run('postgres')).rejects.toMatchObject({ code: 'USAGE' })
})
