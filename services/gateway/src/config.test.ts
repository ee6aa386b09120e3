import { randomBytes } from 'node:crypto'
import { KitError } from '@millrace/kit'
import { describe, expect, it } from 'vitest'
import { readGatewayConfig, readSeedConfig } from './config.ts'

const secrets = {
  MILLRACE_JWT_SECRET: randomBytes(32).toString('hex'),
  MILLRACE_MYSQL_PASSWORD: 'm',
  MILLRACE_CLICKHOUSE_PASSWORD: 'c',
  MILLRACE_LEAD_KEY: randomBytes(32).toString('base64'),
}

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read()
    return []
  } catch (error) {
    if (error instanceof KitError) return error.problems
    throw error
  }
}

describe('the gateway', () => {
  it('has a default for everything but secrets', () => {
    expect(readGatewayConfig(secrets)).toMatchObject({
      environment: 'production',
      httpHost: '127.0.0.1',
      httpPort: 8080,
    })
    expect(problemsOf(() => readGatewayConfig({}))).toHaveLength(4)
  })

  it('does not start with a weak secret', () => {
    const problems = problemsOf(() => readGatewayConfig({ ...secrets, MILLRACE_JWT_SECRET: 'x'.repeat(31) }))
    expect(problems).toEqual(['MILLRACE_JWT_SECRET must have at least 32 bytes; it has 31'])
  })

  it.each([
    'x'.repeat(64),
    '0123456701234567012345670123456701234567',
    'for-development-on-the-loopback-address-only',
    'please-change-me-please-change-me-please',
    'This is the password of the whole company!',
    'an-example-that-somebody-copied-from-a-page',
  ])('starts with the secret %j in development only', (secret) => {
    const env = { ...secrets, MILLRACE_JWT_SECRET: secret }
    const problems = problemsOf(() => readGatewayConfig(env))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^MILLRACE_JWT_SECRET must be random/)
    expect(problems[0]).not.toContain(secret)
    expect(problemsOf(() => readGatewayConfig({ ...env, MILLRACE_ENV: 'development' }))).toEqual([])
  })

  it('takes any random secret', () => {
    for (let i = 0; i < 200; i++) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) {
        const secret = randomBytes(32).toString(encoding)
        expect(problemsOf(() => readGatewayConfig({ ...secrets, MILLRACE_JWT_SECRET: secret }))).toEqual([])
      }
    }
  })

  it('gives access tokens 15 minutes', () => {
    expect(readGatewayConfig(secrets)).toMatchObject({ tokenTtlSeconds: 900, sessionTtlSeconds: 604_800 })
    expect(problemsOf(() => readGatewayConfig({ ...secrets, MILLRACE_TOKEN_TTL_S: '3601' }))).toHaveLength(1)
  })

  it('takes origins and no wildcard', () => {
    const read = (origins: string) => readGatewayConfig({ ...secrets, MILLRACE_CORS_ORIGINS: origins }).corsOrigins
    expect(read('https://a.example, http://localhost:3000')).toEqual(['https://a.example', 'http://localhost:3000'])
    expect(problemsOf(() => read('*'))).toHaveLength(1)
    expect(problemsOf(() => read('https://*.example'))).toHaveLength(1)
  })
})

describe('seeding', () => {
  const right = {
    ...secrets,
    MILLRACE_SEED_DEV_ACCOUNTS: 'true',
    MILLRACE_ENV: 'development',
    MILLRACE_HTTP_HOST: '127.0.0.1',
  }

  it('is for development on the loopback address, when asked for', () => {
    expect(problemsOf(() => readSeedConfig(right))).toEqual([])
    expect(problemsOf(() => readSeedConfig({ ...right, MILLRACE_HTTP_HOST: '::1' }))).toEqual([])
  })

  it.each([
    [{ MILLRACE_SEED_DEV_ACCOUNTS: '' }, 'MILLRACE_SEED_DEV_ACCOUNTS'],
    [{ MILLRACE_SEED_DEV_ACCOUNTS: '1' }, 'MILLRACE_SEED_DEV_ACCOUNTS'],
    [{ MILLRACE_ENV: 'production' }, 'MILLRACE_ENV'],
    [{ MILLRACE_ENV: '' }, 'MILLRACE_ENV'],
    [{ MILLRACE_HTTP_HOST: '0.0.0.0' }, 'MILLRACE_HTTP_HOST'],
    [{ MILLRACE_HTTP_HOST: '127.0.0.1.example.com' }, 'MILLRACE_HTTP_HOST'],
  ])('is refused with %j', (change, variable) => {
    const problems = problemsOf(() => readSeedConfig({ ...right, ...change }))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(variable)
  })
})
