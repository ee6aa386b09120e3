import { readFileSync } from 'node:fs'
import { roleScopes, roles, scopes } from '@millrace/storage/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../test/test-app.ts'
import { problems } from './errors.ts'
import { rejectionCodes } from './events/event-batch.ts'

const page = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8')
const config = readFileSync(new URL('config.ts', import.meta.url), 'utf8')

/** The rows of the table whose header begins with `first`, as cells; however the table is padded. */
function tableRows(first: string): string[][] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => cellsOf(line)[0] === first)
  expect(start).toBeGreaterThan(0)
  const end = lines.findIndex((line, i) => i > start && !line.startsWith('|'))
  return lines.slice(start + 2, end).map(cellsOf)
}

function cellsOf(line: string): string[] {
  return line.startsWith('|')
    ? line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim())
    : []
}

describe('docs/api.md', () => {
  let test: TestApp
  beforeAll(async () => {
    test = await openTestApp()
  })
  afterAll(() => test.close())

  it('lists every error with its status and title', () => {
    const written = tableRows('code').map(([code, status, title]) => [code, Number(status), title])
    const coded = Object.entries(problems).map(([code, { status, title }]) => [`\`${code}\``, status, title])
    expect(written).toEqual(coded)
  })

  it('lists every code of a rejection', () => {
    expect(tableRows('code of a rejection').map(([code]) => code)).toEqual(rejectionCodes.map((code) => `\`${code}\``))
  })

  it('lists every route with its scope and roles', () => {
    const document = JSON.parse(JSON.stringify(test.app.apiDocument()))
    const routes = Object.entries<Record<string, unknown>>(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `\`${method.toUpperCase()} ${path}\``),
    )
    const rows = tableRows('route')
    expect(rows.map(([route]) => route).sort()).toEqual(routes.sort())
    for (const [, scope = '', ...marks] of rows) {
      const named = scopes.find((name) => `\`${name}\`` === scope)
      const expected = roles.map((role) => (named === undefined || roleScopes(role).includes(named) ? '✓' : '–'))
      expect([scope, marks]).toEqual([scope, expected])
    }
  })

  it('lists every setting', () => {
    const read = [...config.matchAll(/'((?:MILLRACE|OTEL)_[A-Z_]+)'/g)].map(([, name]) => name)
    const written = tableRows('variable').flatMap(([names = '']) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    )
    expect([...new Set(written)].sort()).toEqual([...new Set(read)].sort())
  })
})
