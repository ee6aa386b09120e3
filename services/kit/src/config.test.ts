import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import {
  envAddresses,
  envBool,
  envEnum,
  envInt,
  envList,
  envNetworks,
  envOptional,
  envPort,
  envSecret,
  envString,
  envUrl,
  readEnv,
} from './config.ts'
import { KitError } from './errors.ts'

const spec = {
  level: envEnum('LEVEL', ['info', 'debug'], { default: 'info' }),
  port: envPort('PORT', { default: 8080 }),
  rowsMax: envInt('ROWS_MAX', { default: 100, min: 1, max: 1_000 }),
  url: envUrl('URL', { default: 'http://127.0.0.1:8123' }),
  brokers: envAddresses('BROKERS', { default: '127.0.0.1:9092' }),
  seed: envBool('SEED', { default: false }),
  user: envString('USER_NAME'),
  secret: envSecret('SECRET', { bytesMin: 8 }),
  extra: envOptional(envInt('EXTRA', { min: 0, max: 9 })),
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-env-'))
afterAll(() => rmSync(folder, { recursive: true }))

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read()
  } catch (error) {
    if (error instanceof KitError && error.code === 'INVALID_CONFIG') return error.problems
    throw error
  }
  return []
}

describe('readEnv', () => {
  it('takes defaults, types every value and freezes the result', () => {
    const config = readEnv(spec, { USER_NAME: 'ann', SECRET: 'long enough', PORT: '' })
    expect(config).toEqual({
      level: 'info',
      port: 8080,
      rowsMax: 100,
      url: 'http://127.0.0.1:8123',
      brokers: ['127.0.0.1:9092'],
      seed: false,
      user: 'ann',
      secret: 'long enough',
      extra: undefined,
    })
    expect(Object.isFrozen(config)).toBe(true)
  })

  it('reports every problem at once, naming the variable and what would be right', () => {
    const problems = problemsOf(() =>
      readEnv(spec, {
        LEVEL: 'loud',
        PORT: '99999',
        ROWS_MAX: '1e3',
        URL: 'ftp://x',
        BROKERS: 'a:1,,b',
        SEED: 'yes',
        SECRET: 'short',
        EXTRA: '10',
      }),
    )
    expect(problems).toEqual([
      'LEVEL must be one of info, debug; got "loud"',
      'PORT must be a whole number from 0 to 65535; got "99999"',
      'ROWS_MAX must be a whole number from 1 to 1000; got "1e3"',
      'URL must be a URL starting with http:// or https://',
      'BROKERS must not have empty items between its commas',
      'SEED must be true or false; got "yes"',
      'USER_NAME is not set and has no default',
      'SECRET must have at least 8 bytes; it has 5',
      'EXTRA must be a whole number from 0 to 9; got "10"',
    ])
  })

  it('applies rules that concern several values once each single one is right', () => {
    const rules = () => ['SEED is refused outside development']
    expect(problemsOf(() => readEnv({ seed: envBool('SEED') }, { SEED: 'true' }, rules))).toEqual([
      'SEED is refused outside development',
    ])
    expect(problemsOf(() => readEnv({ seed: envBool('SEED') }, {}, rules))).toHaveLength(1)
  })

  it('reads a secret from its file and refuses both forms together', () => {
    const file = join(folder, 'secret')
    writeFileSync(file, 'from the file\n')
    const only = { secret: envSecret('SECRET') }
    expect(readEnv(only, { SECRET_FILE: file }).secret).toBe('from the file')
    expect(problemsOf(() => readEnv(only, { SECRET_FILE: file, SECRET: 'x' }))).toEqual([
      'SECRET and SECRET_FILE are both set: keep one',
    ])
    expect(problemsOf(() => readEnv(only, { SECRET_FILE: join(folder, 'missing') }))[0]).toMatch(/cannot be read/)
  })

  it('keeps credentials out of URLs and bounds lists and texts', () => {
    expect(problemsOf(() => readEnv({ url: envUrl('URL') }, { URL: 'http://a:b@host' }))).toEqual([
      'URL must not hold a user or password',
    ])
    expect(readEnv({ url: envUrl('URL') }, { URL: 'http://host/path//' }).url).toBe('http://host/path')
    expect(problemsOf(() => readEnv({ l: envList('L', { itemsMax: 2 }) }, { L: 'a,b,c' }))).toHaveLength(1)
    expect(problemsOf(() => readEnv({ s: envString('S', { pattern: /^[a-z]+$/ }) }, { S: 'A' }))).toHaveLength(1)
  })

  it('reads addresses and networks, and no network of everybody', () => {
    const spec = { from: envNetworks('FROM') }
    expect(readEnv(spec, { FROM: '127.0.0.1, 10.0.0.0/8,fd00::/8, ::1' }).from).toEqual([
      '127.0.0.1',
      '10.0.0.0/8',
      'fd00::/8',
      '::1',
    ])
    for (const wrong of [
      '10.0.0.0/33',
      'fd00::/129',
      '0.0.0.0/0',
      '::/0',
      '10.0.0',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      'lb',
    ]) {
      expect(
        problemsOf(() => readEnv(spec, { FROM: `127.0.0.1,${wrong}` })),
        wrong,
      ).toHaveLength(1)
    }
  })
})
