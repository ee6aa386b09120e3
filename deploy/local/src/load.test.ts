import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadProfiles } from './load.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const textOf = (path: string) => readFileSync(join(root, path), 'utf8')
const page = textOf('docs/load-tests.md')
const scripts = globSync('k6/**/*.ts', { cwd: root }).filter((path) => !path.endsWith('.test.ts'))

/** The cells of the table under a heading of the page, without its head. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

describe('the profiles of load tests', () => {
  it('are on the page with their rates, and no others', () => {
    const inScripts = loadProfiles(root).map((profile) => {
      const text = textOf(`k6/${profile}.ts`)
      expect(text, profile).toContain(`name: '${profile}',`)
      return [profile, /^ {2}rate: (\d+),$/m.exec(text)?.[1]]
    })
    expect(
      rowsUnder('Profiles')
        .map(([name, , rate]) => [name, rate])
        .sort(),
    ).toEqual(inScripts.sort())
  })

  it('export what k6 runs', () => {
    for (const profile of loadProfiles(root)) {
      expect(textOf(`k6/${profile}.ts`), profile).toContain('export const { options, setup, run, handleSummary } =')
    }
  })

  it('each send something of their own, and the mixed one sends everything', () => {
    const jobs = (text: string) => [...text.matchAll(/job: (\w+)/g)].map((match) => match[1])
    const single = loadProfiles(root).filter((profile) => profile !== 'mixed')
    const sent = single.flatMap((profile) => jobs(textOf(`k6/${profile}.ts`)))
    expect(new Set(sent).size).toBe(single.length)
    expect(jobs(textOf('k6/mixed.ts')).sort()).toEqual(sent.sort())
  })

  it('take the variables that the page lists, with the same defaults', () => {
    const inScripts = scripts.flatMap((path) => {
      const text = textOf(path)
      const texts = [...text.matchAll(/(?:text|duration)Setting\('([A-Z0-9_]+)', '([^']*)'\)/g)]
      const numbers = [...text.matchAll(/numberSetting\('([A-Z0-9_]+)', \{\s*fallback: ([\w.]+),/g)]
      return [
        ...texts.map(([, name = '', fallback = '']) => [name, fallback] as const),
        ...numbers.map(([, name = '', fallback = '']) => [name, fallback.replaceAll('_', '')] as const),
      ]
    })
    const onPage = new Map(rowsUnder('Variables').map(([name = '', fallback = '']) => [name, fallback]))
    expect([...onPage.keys()].sort()).toEqual([...new Set(inScripts.map(([name]) => name))].sort())
    for (const [name, fallback] of inScripts) {
      const said = onPage.get(name) ?? ''
      // The profile's or the job's own, which the page says in words.
      if (said.startsWith('the ')) continue
      expect([name, said === '–' ? '' : said.replaceAll(',', '')]).toEqual([name, fallback])
    }
  })

  it('import k6 and each other, nothing of ours', () => {
    const wrong = scripts.flatMap((path) =>
      [...textOf(path).matchAll(/from '([^']+)'/g)]
        .map((match) => match[1] ?? '')
        .filter((specifier) => !/^k6(\/|$)/.test(specifier) && !/^\.\/(lib\/)?[a-z0-9-]+\.ts$/.test(specifier))
        .map((specifier) => `${path}: ${specifier}`),
    )
    expect(wrong).toEqual([])
  })
})
