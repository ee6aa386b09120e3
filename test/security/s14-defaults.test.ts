import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import { describe, expect, it } from 'vitest'
import { loadSecrets } from '../../deploy/local/src/secrets.ts'
import { readGatewayConfig, readSeedConfig } from '../../services/gateway/src/config.ts'
import { required } from '../e2e/gateway-client.ts'
import { mustFail } from './proof.ts'

describe('S14 a fresh installation', () => {
  it('does not start without secrets, and has none of its own', () => {
    for (const name of [
      'MILLRACE_JWT_SECRET',
      'MILLRACE_MYSQL_PASSWORD',
      'MILLRACE_CLICKHOUSE_PASSWORD',
      'MILLRACE_LEAD_KEY',
    ]) {
      expect(() => readGatewayConfig({})).toThrow(name)
    }
  })

  it('has no accounts with known passwords but where they are asked for, and only this machine can reach them', () => {
    const here = { MILLRACE_ENV: 'development', MILLRACE_SEED_DEV_ACCOUNTS: 'true', MILLRACE_MYSQL_PASSWORD: 'x-y-z' }
    expect(readSeedConfig(here).environment).toBe('development')
    for (const change of [
      { MILLRACE_SEED_DEV_ACCOUNTS: '' },
      { MILLRACE_ENV: 'production' },
      { MILLRACE_ENV: '' },
      { MILLRACE_HTTP_HOST: '0.0.0.0' },
      { MILLRACE_HTTP_HOST: '10.0.0.1' },
      { MILLRACE_HTTP_HOST: '::' },
    ]) {
      expect(() => readSeedConfig({ ...here, ...change }), JSON.stringify(change)).toThrow()
    }
  })

  it('makes secrets of its own, which only their owner can read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-secrets-'))
    try {
      const files = ['a.json', 'b.json'].map((name) => join(folder, name))
      const [first, second] = files.map(loadSecrets)
      const values = [...Object.values(first ?? {}), ...Object.values(second ?? {})]
      expect(new Set(values).size).toBe(values.length)
      for (const value of values) expect(value).toMatch(/^[0-9a-f]{48,}$/)
      for (const file of files) expect(statSync(file).mode & 0o777).toBe(0o600)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('opens its ports in Docker to this machine only, and has no Grafana with the password of all', () => {
    const compose = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8')
    const lists = [...compose.matchAll(/^ +ports:\n((?: +- .+\n)+)/gm)].map(([, list = '']) => list)
    // None in another form, which would not be looked at.
    expect(lists).toHaveLength(compose.match(/\bports:/g)?.length ?? 0)
    const published = lists.flatMap((list) => list.trimEnd().split('\n'))
    expect(published.length).toBeGreaterThan(3)
    for (const port of published) expect(port).toMatch(/^ +- "?127\.0\.0\.1:\S+:\d+"?$/)
    expect(compose).not.toMatch(/admin:admin|PASSWORD: "?(admin|root|password|)"?$/m)
    expect(compose).not.toMatch(/ALLOW_EMPTY_(ROOT_)?PASSWORD/)
  })
})

/** Addresses of this machine that are not the one that everything is bound to. */
function otherAddresses(): readonly string[] {
  const others = Object.values(networkInterfaces())
    .flat()
    .filter((network) => network?.family === 'IPv4' && !network.internal)
    .map((network) => network?.address ?? '')
  // Linux answers for all of 127.0.0.0/8.
  return process.platform === 'linux' ? ['127.0.0.2', ...others] : others
}

/** Whether something listens there. */
function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 5_000 })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
    socket.once('timeout', () => end(false))
  })
}

async function expectLocal(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    expect([port, await isOpen('127.0.0.1', port)]).toEqual([port, true])
    for (const host of otherAddresses()) expect([host, port, await isOpen(host, port)]).toEqual([host, port, false])
  }
}

describe('S14 the running servers', () => {
  const portIn = (address: string) => Number(new URL(address.includes('://') ? address : `x://${address}`).port)

  it('listen to this machine only', async () => {
    await expectLocal([
      portIn(required('MILLRACE_KAFKA_BROKERS')),
      portIn(required('MILLRACE_REGISTRY_URL')),
      portIn(required('MILLRACE_CLICKHOUSE_URL')),
      portIn(required('MILLRACE_GATEWAY_URL')),
      Number(required('MILLRACE_MYSQL_PORT')),
    ])
  })

  it('proof: one that listens to everybody would be found out', async () => {
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      await mustFail(() => expectLocal([port]))
    } finally {
      server.close()
    }
  })

  it('let nobody in without a password', async () => {
    const host = required('MILLRACE_MYSQL_HOST')
    const port = Number(required('MILLRACE_MYSQL_PORT'))
    for (const [user, password] of [
      ['root', ''],
      ['root', 'root'],
      ['', ''],
      ['millrace', ''],
      ['millrace', 'millrace'],
      ['millrace', 'millrace-development'],
    ]) {
      const refusal = await mysql.createConnection({ host, port, user: user ?? '', password: password ?? '' }).then(
        async (connection) => {
          await connection.end()
          return 'let in'
        },
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
      )
      expect([user, password, refusal]).toEqual([user, password, 'ER_ACCESS_DENIED_ERROR'])
    }
    const clickHouse = required('MILLRACE_CLICKHOUSE_URL')
    for (const credentials of [undefined, 'default:', 'millrace:', 'default:default', 'millrace:millrace']) {
      const authorization = `Basic ${Buffer.from(credentials ?? '').toString('base64')}`
      const headers = credentials === undefined ? {} : { authorization }
      const answer = await fetch(`${clickHouse}/?query=SELECT%20currentUser()`, { headers })
      await answer.body?.cancel()
      expect([credentials, [401, 403].includes(answer.status)]).toEqual([credentials, true])
    }
  })
})
