import { expect, it } from 'vitest'
import { parseMigration } from './migration-files.ts'
import { migrationStatus } from './migration-status.ts'

const first = parseMigration('0001_first', 'CREATE TABLE a (x int);\n')
const second = parseMigration('0002_second', 'CREATE TABLE b (x int);\n')
const appliedAt = new Date('2026-11-21T09:30:00Z')

it('tells what is applied, what is pending, and what was changed', () => {
  const status = migrationStatus([first, second], [{ ...first, appliedAt }])
  expect(status).toEqual([
    { name: '0001_first', state: 'applied', appliedAt },
    { name: '0002_second', state: 'pending', appliedAt: null },
  ])
  const changed = migrationStatus([first], [{ name: first.name, checksum: second.checksum, appliedAt }])
  expect(changed).toEqual([{ name: '0001_first', state: 'changed', appliedAt }])
})

it('names what another version has applied, in order', () => {
  const others = ['0004_d', '0003_c'].map((name) => ({ name, checksum: '', appliedAt }))
  expect(migrationStatus([first], others).map(({ name, state }) => `${name} ${state}`)).toEqual([
    '0001_first pending',
    '0003_c unknown',
    '0004_d unknown',
  ])
})
