import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { takeLock } from './lock.ts'
import { lastLines } from './log-tail.ts'
import { loadSecrets } from './secrets.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-instance-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('loadSecrets', () => {
  it('generates them once, readable by their owner only', () => {
    const file = join(folder, 'secrets.json')
    const secrets = loadSecrets(file)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(Buffer.byteLength(secrets.jwtSecret)).toBeGreaterThanOrEqual(32)
    expect(new Set(Object.values(secrets)).size).toBe(5)
    expect(loadSecrets(file)).toEqual(secrets)
  })

  it('adds what a later version needs and keeps the rest', () => {
    const file = join(folder, 'secrets.json')
    const { mysqlPassword } = loadSecrets(file)
    writeFileSync(file, JSON.stringify({ mysqlPassword }))
    expect(loadSecrets(file).mysqlPassword).toBe(mysqlPassword)
    expect(JSON.parse(readFileSync(file, 'utf8')).jwtSecret).toMatch(/^[0-9a-f]+$/)
  })
})

describe('takeLock', () => {
  it('gives a folder to one launcher at a time', () => {
    const file = join(folder, 'launcher.lock')
    const lock = takeLock(file)
    expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n`)
    lock.release()
    takeLock(file).release()
  })

  it('takes over from one that is gone', () => {
    const file = join(folder, 'launcher.lock')
    writeFileSync(file, '999999999\n')
    takeLock(file).release()
  })

  it('takes over when the process id now belongs to something else', () => {
    const file = join(folder, 'launcher.lock')
    writeFileSync(file, '1\n')
    takeLock(file).release()
  })
})

describe('lastLines', () => {
  it('gives the last ones that say something', () => {
    const file = join(folder, 'a.log')
    writeFileSync(file, 'one\ntwo\n\nthree\n')
    expect(lastLines(file, 2)).toEqual(['two', 'three'])
  })

  it('leaves out what earlier starts wrote', () => {
    const file = join(folder, 'a.log')
    writeFileSync(file, 'old\nnew\n')
    expect(lastLines(file, 5, 4)).toEqual(['new'])
    expect(lastLines(file, 5, 1_000)).toEqual(['old', 'new'])
  })

  it('reads only the end of a long file, and no cut line', () => {
    const file = join(folder, 'a.log')
    writeFileSync(file, Array.from({ length: 20_000 }, (_, index) => `line ${index}`).join('\n'))
    const lines = lastLines(file, 100_000)
    expect(lines.length).toBeLessThan(20_000)
    expect(lines.every((line) => /^line \d+$/.test(line))).toBe(true)
    expect(lines.at(-1)).toBe('line 19999')
  })

  it('is empty when there is no file', () => {
    expect(lastLines(join(folder, 'missing.log'), 5)).toEqual([])
  })
})
