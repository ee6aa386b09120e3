import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const running: ReturnType<typeof spawn>[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

/** Starts the service with plain Node, as it runs in production: type stripping takes less than the compiler does. */
function start(environment: Readonly<Record<string, string>>) {
  const { PATH = '' } = process.env
  const child = spawn(process.execPath, [main], { env: { PATH, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  return child
}

describe('main', () => {
  it('answers probes while its servers are away, and stops on SIGTERM', async () => {
    // Nothing listens on port 1.
    const child = start({
      MILLRACE_KAFKA_BROKERS: '127.0.0.1:1',
      MILLRACE_MYSQL_PASSWORD: 'secret',
      MILLRACE_LEAD_KEY: randomBytes(32).toString('base64'),
      MILLRACE_MYSQL_PORT: '1',
      MILLRACE_HEALTH_PORT: '0',
    })
    const lines: Record<string, unknown>[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(JSON.parse(line))
      if (lines.at(-1)?.url !== undefined) break
    }
    const url = String(lines.at(-1)?.url)
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    const ready = await fetch(`${url}/readyz`)
    expect(ready.status).toBe(503)
    expect(await ready.json()).toMatchObject({ status: 'down', checks: { mysql: { status: 'down' } } })
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('process_cpu_seconds_total')
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  it('names every problem of its configuration and exits with 78', async () => {
    const child = start({ MILLRACE_HEALTH_PORT: 'x', MILLRACE_KAFKA_BROKERS: 'nonsense' })
    let text = ''
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    expect(await once(child, 'close')).toEqual([78, null])
    for (const name of [
      'MILLRACE_HEALTH_PORT',
      'MILLRACE_KAFKA_BROKERS',
      'MILLRACE_MYSQL_PASSWORD',
      'MILLRACE_LEAD_KEY',
    ]) {
      expect(text).toContain(name)
    }
  })
})
