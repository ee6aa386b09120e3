import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findInstalled, installedServer } from './mariadb.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-mariadb-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function lay(...path: string[]): string {
  const file = join(root, ...path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, '')
  return file
}

describe('installedServer', () => {
  it.each(['bin', 'scripts', 'sbin'])('finds the installer of a MariaDB in %s', (folder) => {
    const daemon = lay('sbin', 'mariadbd')
    const installer = lay(folder, 'mariadb-install-db')
    expect(installedServer(daemon)).toEqual({ title: `MariaDB (${daemon})`, daemon, installer, base: undefined })
  })

  it('lets a MySQL make its own data folder, whatever lies beside it', () => {
    const daemon = lay('sbin', 'mysqld')
    lay('bin', 'mariadb-install-db')
    expect(installedServer(daemon)).toEqual({
      title: `MySQL (${daemon})`,
      daemon,
      installer: undefined,
      base: undefined,
    })
  })
})

describe('findInstalled', () => {
  it('prefers a MariaDB with its installer to a MySQL', () => {
    const mysqld = lay('a', 'mysqld')
    const daemon = lay('b', 'mariadbd')
    const path = `${join(root, 'a')}:${join(root, 'b')}`
    expect(findInstalled(path)).toMatchObject({ daemon: mysqld, installer: undefined })
    const installer = lay('a', 'mariadb-install-db')
    expect(findInstalled(path)).toMatchObject({ daemon, installer })
  })
})
