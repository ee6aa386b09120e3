import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually, GatewayClient } from './gateway-client.ts'

const run = randomUUID().slice(0, 8)
const main = new URL('../../services/processor/src/main.ts', import.meta.url).pathname
let stateDir: string
let second: ChildProcess | undefined

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'millrace-processor-'))
})
afterAll(async () => {
  if (second?.exitCode === null && second.signalCode === null) {
    second.kill('SIGTERM')
    await once(second, 'exit')
  }
  await rm(stateDir, { recursive: true, force: true })
})

/** Starts one more processor beside the stack's own, as `second`: it takes over half of the partitions. Resolves when it is ready. */
async function startProcessor(): Promise<ChildProcess> {
  const port = await freePort()
  const env = { ...process.env, MILLRACE_STATE_DIR: stateDir, MILLRACE_HEALTH_PORT: String(port) }
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  second = child
  await eventually(
    60_000,
    () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        async (response) => `${response.status} ${await response.text()}`,
        (error: unknown) => `${error}, exit code ${child.exitCode}`,
      ),
    (answer) => expect(answer).toMatch(/^200 /),
  )
  return child
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

it('SIGKILL of a processor while events flow, and its restart, leave the counts exact', async () => {
  const producer = await GatewayClient.as('producer')
  const analyst = await GatewayClient.as('analyst')
  const types = ['a', 'b', 'c'].map((name) => `kill-${name}-${run}`)
  const startMs = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 1
  const sums = new Map(types.map((type) => [type, { count: 0, sum: 0 }]))
  let sent = 0

  async function post(requests: number): Promise<void> {
    for (let request = 0; request < requests; request++) {
      const events = Array.from({ length: 500 }, () => {
        const i = sent++
        const type = types[i % types.length] ?? ''
        const total = sums.get(type) ?? { count: 0, sum: 0 }
        sums.set(type, { count: total.count + 1, sum: total.sum + (i % 50) })
        return {
          event_id: `${run}-${i}`,
          user_id: `user-${i % 101}`,
          event_type: type,
          timestamp: startMs + i,
          metadata: { value: i % 50 },
        }
      })
      const answer = await producer.post('/events', events)
      expect(answer.status, answer.text).toBe(202)
    }
  }

  const killed = await startProcessor()
  await post(20)
  const kill = async () => {
    await new Promise((resolve) => setTimeout(resolve, 300))
    const gone = once(killed, 'exit')
    killed.kill('SIGKILL')
    await gone
  }
  await Promise.all([post(40), kill()])
  await post(10)
  await startProcessor()
  await post(20)

  for (const type of types) {
    await eventually(
      60_000,
      () => analyst.get(`/stats?event_type=${type}&time_interval=1d&from=${startMs - 1}&to=${startMs + 86_400_000}`),
      ({ body }) =>
        expect(body.windows.map(({ count, sum }: { count: number; sum: number }) => ({ count, sum }))).toEqual([
          sums.get(type),
        ]),
    )
  }
}, 240_000)
