import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { LauncherError, launcherErrorCodes } from './errors.ts'

it('docs/operations.md explains every code of the launcher, and no other', () => {
  const text = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map((match) => match[1])
  expect(rows.sort()).toEqual([...launcherErrorCodes].sort())
})

it('a message begins with its code', () => {
  expect(new LauncherError('PORT_TAKEN', 'Port 1 is taken').message).toBe('[PORT_TAKEN] Port 1 is taken')
})
