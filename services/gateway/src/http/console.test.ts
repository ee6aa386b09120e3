import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'

describe('the console', () => {
  let test: TestApp
  const folder = mkdtempSync(join(tmpdir(), 'console-'))

  beforeAll(async () => {
    mkdirSync(join(folder, 'dist', 'assets'), { recursive: true })
    writeFileSync(join(folder, 'secret.txt'), 'secret')
    writeFileSync(join(folder, 'dist', 'index.html'), '<!doctype html><title>Console</title>')
    writeFileSync(join(folder, 'dist', 'assets', 'app-1a2b.js'), 'export {}')
    test = await openTestApp({ consoleDirectory: join(folder, 'dist') })
  })
  afterAll(async () => {
    await test.close()
    rmSync(folder, { recursive: true })
  })

  it('is served at the root, for everyone, under a policy that lets only its own files in', async () => {
    const page = await test.app.inject({ url: '/' })
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.body).toContain('<title>Console</title>')
    expect(page.headers['content-security-policy']).toContain("script-src 'self'")
    expect(page.headers['cache-control']).toBe('no-cache')
    const script = await test.app.inject({ url: '/assets/app-1a2b.js' })
    expect([script.statusCode, String(script.headers['content-type'])]).toEqual([
      200,
      expect.stringContaining('javascript'),
    ])
    expect(script.headers['cache-control']).toContain('immutable')
  })

  it.each(['/assets/missing.js', '/../secret.txt', '/%2e%2e/secret.txt', '/assets/..%2f..%2fsecret.txt', '/.env'])(
    'gives nothing else: %s',
    async (url) => {
      const answer = await test.app.inject({ url })
      expect([answer.statusCode, answer.headers['content-type']]).toEqual([404, 'application/problem+json'])
    },
  )

  it('stands beside the API, and is not logged', async () => {
    expect((await test.app.inject({ url: '/api/v1/leads' })).statusCode).toBe(401)
    expect((await test.app.inject({ url: '/events' })).statusCode).toBe(401)
    await test.app.inject({ url: '/' })
    expect(test.apiLogs.map((entry) => entry.route)).not.toContain('/')
  })
})
