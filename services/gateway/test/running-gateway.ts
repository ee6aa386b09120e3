import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/** A gateway in a process of its own, started as in production: by Node, from its sources. */
export interface RunningGateway {
  readonly url: string
  readonly process: ChildProcess
  /** Everything it has logged. */
  log(): string
  /** Resolves when it has ended and everything it has logged is here. */
  readonly closed: Promise<unknown>
  /** SIGTERM; resolves with the exit code, which is 1 when closing took longer than a service may. */
  stop(): Promise<number | null>
}

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const seed = fileURLToPath(new URL('../src/seed.ts', import.meta.url))

/** Starts a gateway on a free port and waits until it is ready. */
export async function startGateway(change: Readonly<Record<string, string>> = {}): Promise<RunningGateway> {
  const port = await freePort()
  const gateway = launchGateway({ MILLRACE_HTTP_PORT: String(port), ...change })
  const url = `http://127.0.0.1:${port}`
  const deadline = Date.now() + 120_000
  while (!(await isReady(url))) {
    if (Date.now() > deadline || gateway.process.exitCode !== null) {
      const { exitCode } = gateway.process
      gateway.process.kill('SIGKILL')
      await gateway.closed
      throw new Error(`the gateway is not ready (exit code ${exitCode}); its log:\n${gateway.log()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { ...gateway, url }
}

/** Starts a gateway and waits for nothing. */
export function launchGateway(change: Readonly<Record<string, string>>): Omit<RunningGateway, 'url'> {
  const child = spawn(process.execPath, [main], {
    // Tests read what it says, whatever the level of the servers beside it.
    env: { ...process.env, MILLRACE_LOG_LEVEL: 'info', ...change },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Not `exit`, which may come before the last that it has said.
  const closed = once(child, 'close')
  // A test that fails before it stops the gateway must not leave it behind.
  process.once('exit', () => child.kill('SIGKILL'))
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => lines.push(text))
  return {
    process: child,
    log: () => lines.join(''),
    closed,
    async stop() {
      child.kill('SIGTERM')
      await closed
      return child.exitCode
    },
  }
}

/** Runs the command that seeds the development accounts; resolves with its exit code and what it printed. */
export async function seedAccounts(
  change: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string }> {
  const env = {
    ...process.env,
    MILLRACE_ENV: 'development',
    MILLRACE_SEED_DEV_ACCOUNTS: 'true',
    MILLRACE_HTTP_HOST: '127.0.0.1',
    ...change,
  }
  const child = spawn(process.execPath, [seed], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  await once(child, 'close')
  return { code: child.exitCode ?? -1, output }
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/readyz`)).ok
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
