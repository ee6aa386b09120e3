import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

// Checks the code itself for what is true or false; size and taste stay with the reader.

const root = resolve(import.meta.dirname, '..')
const sources = globSync('{schemas,streams,storage,services/*,deploy/*}/src/**/*.{ts,tsx}', { cwd: root })
  .map((path) => path.replaceAll('\\', '/'))
  .sort()
const production = sources.filter((path) => !path.includes('.test.') && !path.endsWith('.generated.ts'))

const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Module specifiers of a file's imports and re-exports, with type-only imports told apart. */
function importsOf(path: string): { specifier: string; typeOnly: boolean }[] {
  const pattern = /^(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm
  return [...textOf(path).matchAll(pattern)].map((match) => ({
    specifier: match[2] ?? '',
    typeOnly: match[1] !== undefined,
  }))
}

/** What each package may import of ours. Nothing points at a service. */
const packageRules: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  streams: [],
  storage: ['@millrace/schemas'],
  'services/kit': [],
  'services/operations': ['@millrace/schemas', '@millrace/storage', '@millrace/streams'],
  'services/gateway': [
    '@millrace/kit',
    '@millrace/operations',
    '@millrace/schemas',
    '@millrace/storage',
    '@millrace/streams',
  ],
  'services/processor': ['@millrace/kit', '@millrace/schemas', '@millrace/streams'],
  'services/sink-clickhouse': ['@millrace/kit', '@millrace/schemas', '@millrace/storage', '@millrace/streams'],
  'services/sink-mysql': ['@millrace/kit', '@millrace/schemas', '@millrace/storage', '@millrace/streams'],
  'services/cli': [
    '@millrace/kit',
    '@millrace/operations',
    '@millrace/schemas',
    '@millrace/storage',
    '@millrace/streams',
  ],
  'services/console': [],
  'deploy/local': ['@millrace/schemas'],
}

/** What each folder of `streams/src` may import of its siblings: the arrows point towards `core`. */
const folderRules: Readonly<Record<string, readonly string[]>> = {
  core: [],
  windows: ['core'],
  aggregate: ['core'],
  state: ['core'],
  sink: ['core'],
  processor: ['core', 'windows', 'aggregate', 'state'],
  topology: ['core', 'processor', 'state'],
  dsl: ['core', 'windows', 'aggregate', 'state', 'processor', 'topology'],
  runtime: ['core', 'state', 'processor', 'topology'],
  kafka: ['core'],
  rocksdb: ['core', 'state'],
  testing: ['core', 'windows', 'aggregate', 'state', 'sink', 'processor', 'topology', 'dsl', 'runtime'],
}

describe('imports point one way', () => {
  it.each(Object.keys(packageRules))('%s imports only what it may', (name) => {
    const allowed = packageRules[name] ?? []
    const wrong = production
      .filter((path) => path.startsWith(`${name}/src/`))
      .flatMap((path) => importsOf(path).map(({ specifier }) => ({ path, specifier })))
      .filter(({ specifier }) => specifier.startsWith('@millrace/'))
      .filter(({ specifier }) => !allowed.some((entry) => specifier === entry || specifier.startsWith(`${entry}/`)))
    expect(wrong).toEqual([])
  })

  it('no file reaches into another package by a relative path', () => {
    const wrong = production.flatMap((path) =>
      importsOf(path)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => ({ path, target: relative(root, resolve(root, dirname(path), specifier)) }))
        .filter(({ target }) => packageOf(target) !== packageOf(path)),
    )
    expect(wrong).toEqual([])
  })

  it.each(Object.keys(folderRules))('streams/src/%s imports only what it may', (folder) => {
    const allowed = [folder, ...(folderRules[folder] ?? [])]
    const wrong = production
      .filter((path) => path.startsWith(`streams/src/${folder}/`))
      .flatMap((path) =>
        importsOf(path)
          .filter(({ specifier }) => specifier.startsWith('.'))
          .map(({ specifier }) => ({ path, target: relative(root, resolve(root, dirname(path), specifier)) })),
      )
      .filter(({ target }) => !allowed.some((entry) => target.startsWith(`streams/src/${entry}/`)))
    expect(wrong).toEqual([])
  })

  it('every folder of streams/src has a rule', () => {
    const folders = new Set(
      production.filter((path) => /^streams\/src\/[^/]+\//.test(path)).map((path) => path.split('/')[2] ?? ''),
    )
    expect([...folders].filter((folder) => folderRules[folder] === undefined)).toEqual([])
  })

  it.each([
    ['@platformatic/kafka', 'streams/src/kafka/'],
    ['rocksdb-native', 'streams/src/rocksdb/'],
    ['@clickhouse/client', 'storage/src/clickhouse/'],
    ['mysql2', 'storage/src/mysql/'],
    ['chdb', 'deploy/local/src/'],
  ])('%s is imported only below %s', (library, folder) => {
    const wrong = production
      .filter((path) => !path.startsWith(folder))
      .filter((path) =>
        importsOf(path).some(({ specifier }) => specifier === library || specifier.startsWith(`${library}/`)),
      )
    expect(wrong).toEqual([])
  })
})

describe('the shape of files', () => {
  it('one door per package: named exports only', () => {
    const wrong = production.filter((path) => /^export (?:\*|default)/m.test(textOf(path)))
    expect(wrong).toEqual([])
  })

  it('index.ts only at a door that package.json names', () => {
    const doors = globSync('{schemas,streams,storage,services/*,deploy/*}/package.json', { cwd: root }).flatMap(
      (path) => {
        const { exports } = JSON.parse(textOf(path)) as { exports?: Record<string, string> }
        return Object.values(exports ?? {}).map((target) => join(dirname(path), target))
      },
    )
    for (const door of doors) expect(existsSync(join(root, door)), door).toBe(true)
    expect(production.filter((path) => path.endsWith('/index.ts') && !doors.includes(path))).toEqual([])
  })

  it('file names are kebab-case and say what is inside', () => {
    const vague = /(^|[/-])(utils?|helpers?|common|misc|stuff)(\.|-|\/)/
    const wrong = sources.filter((path) => vague.test(path) || !/^[a-z0-9.-]+$/.test(path.split('/').at(-1) ?? ''))
    expect(wrong).toEqual([])
  })

  it('the environment is read in config.ts and in entry points only', () => {
    const reader = /(\/config|\/[a-z-]*main|\/seed|\/read-env|\/env)\.ts$/
    const wrong = production.filter(
      (path) => /^(?!\s*(?:\/?\*|\/\/)).*process\.env\b/m.test(textOf(path)) && !reader.test(path),
    )
    expect(wrong.filter((path) => !path.startsWith('deploy/local/'))).toEqual([])
  })

  it('nothing branches on NODE_ENV', () => {
    expect(production.filter((path) => /process\.env(\.|\[['"])NODE_ENV/.test(textOf(path)))).toEqual([])
  })

  it('at least four of five exports carry a docblock', () => {
    const bare: string[] = []
    let all = 0
    for (const path of production.filter((path) => !path.endsWith('/index.ts'))) {
      const lines = textOf(path).split('\n')
      for (const [index, line] of lines.entries()) {
        if (!/^export (?:async )?(?:abstract )?(?:function|class|const|interface|type) /.test(line)) continue
        all++
        const before = lines[index - 1]?.trim() ?? ''
        if (!before.endsWith('*/') && !/^export (?:const|type) .*typeof|^export type/.test(line))
          bare.push(`${path}:${index + 1}`)
      }
    }
    expect(bare.length / all, bare.join('\n')).toBeLessThanOrEqual(0.2)
  })

  it('no marker of unfinished work is left', () => {
    const marker = new RegExp(`(?:\\/\\/|\\*).*\\b(?:${['TO', 'DO|FIX', 'ME|X', 'XX|HA', 'CK'].join('')})\\b`)
    expect(sources.filter((path) => marker.test(textOf(path)))).toEqual([])
  })
})

function packageOf(path: string): string {
  const parts = path.split('/')
  return parts[0] === 'services' || parts[0] === 'deploy' ? `${parts[0]}/${parts[1]}` : (parts[0] ?? '')
}
