import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { BenchError } from '../bench-error.ts'
import type { Side } from '../command-line.ts'
import { deployedHeap } from '../deployed-heap.ts'
import { MeasuredProcess } from '../measured-process.ts'
import type { GatewayServers } from './servers.ts'

/** The peer as it stands in tables. */
export const naiveName = 'Fastify and kafkajs'

/** A server that is measured. */
export interface MeasuredServer {
  readonly port: number
  /** Headers that its requests need. */
  readonly headers: Readonly<Record<string, string>>
  /** The topic that it writes events to. */
  readonly topic: string
  /** CPU that its process has used until now, microseconds. */
  cpuMicros(): Promise<number>
  stop(): Promise<void>
}

/** What a server is started with. */
export interface StartOptions {
  readonly servers: GatewayServers
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly profileFolder: string | undefined
  /** For the profile's name. */
  readonly job: string
  /** Who sends the requests; an account that writes events by default. */
  readonly account?: { readonly username: string; readonly password: string }
}

const program = join(import.meta.dirname, 'measured-server.ts')
const root = join(import.meta.dirname, '../..')
const startDeadlineMs = 60_000
const answerDeadlineMs = 30_000
const writer = { username: 'api_user', password: 'api123' }
const analyst = { username: 'analyst', password: 'analyst123' }

/** Starts the gateway as it is deployed, or the naive server; resolves when it answers. */
export async function startServer(side: Side, options: StartOptions): Promise<MeasuredServer> {
  return side === 'ours' ? await startGateway(options) : await startNaive(options)
}

/** Starts the gateway as it is deployed; resolves when it answers. */
export async function startGateway(options: StartOptions): Promise<MeasuredServer> {
  const { servers, environment, profileFolder, job } = options
  const port = await freePort()
  const child = start('services/gateway/src/main.ts', {
    environment: {
      ...environment,
      ...servers.variables,
      MILLRACE_ENV: 'development',
      MILLRACE_LOG_LEVEL: 'warn',
      MILLRACE_HTTP_HOST: '127.0.0.1',
      MILLRACE_HTTP_PORT: String(port),
      MILLRACE_RATE_LIMIT_PER_MINUTE: '100000000',
    },
    profileFile: profileFolder === undefined ? undefined : profileFile(profileFolder, job),
  })
  try {
    await answers(`http://127.0.0.1:${port}/readyz`)
    const token = await login(port, options.account ?? (job === 'stats' ? analyst : writer))
    return measured(child, { port, headers: { authorization: `Bearer ${token}` }, topic: 'events' })
  } catch (error) {
    await child.stop()
    throw error
  }
}

/** Starts the sink of leads as it is deployed; resolves when it stores. */
export async function startLeadSink({
  servers,
  environment,
  profileFolder,
  job,
}: StartOptions): Promise<MeasuredServer> {
  const port = await freePort()
  const child = start('services/sink-mysql/src/main.ts', {
    environment: {
      ...environment,
      ...servers.variables,
      MILLRACE_LOG_LEVEL: 'warn',
      MILLRACE_HEALTH_HOST: '127.0.0.1',
      MILLRACE_HEALTH_PORT: String(port),
    },
    profileFile: profileFolder === undefined ? undefined : profileFile(profileFolder, `${job}-sink`),
  })
  try {
    await answers(`http://127.0.0.1:${port}/readyz`)
    return measured(child, { port, headers: {}, topic: 'leads' })
  } catch (error) {
    await child.stop()
    throw error
  }
}

async function startNaive({ servers, environment }: StartOptions): Promise<MeasuredServer> {
  const port = await freePort()
  const topic = naiveTopic
  const settings = { NAIVE_BROKER: servers.brokerAddress, NAIVE_TOPIC: topic, NAIVE_PORT: String(port) }
  const child = start('bench/peers/naive-http/server.ts', {
    environment: { ...environment, ...settings },
    profileFile: undefined,
  })
  try {
    await answers(`http://127.0.0.1:${port}/`)
    return measured(child, { port, headers: {}, topic })
  } catch (error) {
    await child.stop()
    throw error
  }
}

/** The topic of the naive server's events. */
export const naiveTopic = `bench-naive-${process.pid}`

function start(
  server: string,
  of: { readonly environment: Readonly<Record<string, string | undefined>>; readonly profileFile: string | undefined },
): MeasuredProcess {
  const args = [
    program,
    pathToFileURL(join(root, server)).href,
    ...(of.profileFile === undefined ? [] : [of.profileFile]),
  ]
  return new MeasuredProcess({
    title: server,
    command: process.execPath,
    // The naive server has the heap of the gateway.
    args: [...deployedHeap(server), ...args],
    environment: of.environment,
  })
}

function measured(child: MeasuredProcess, of: Pick<MeasuredServer, 'port' | 'headers' | 'topic'>): MeasuredServer {
  let asked = 0
  return {
    ...of,
    async cpuMicros() {
      child.signal('SIGUSR2')
      return (await child.event<{ cpuMicros: number }>(`cpu ${++asked}`, answerDeadlineMs)).cpuMicros
    },
    stop: () => child.stop(),
  }
}

function profileFile(folder: string, job: string): string {
  mkdirSync(folder, { recursive: true })
  return join(resolve(folder), `gateway-${job}.cpuprofile`)
}

async function login(port: number, credentials: typeof writer): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(credentials),
  })
  const body: unknown = await answer.json()
  if (typeof body === 'object' && body !== null && 'token' in body) return String(body.token)
  throw new BenchError(`The login as ${credentials.username} gave ${answer.status}: ${JSON.stringify(body)}`)
}

/** Waits until the address answers, with whatever it is but 503. */
async function answers(url: string): Promise<void> {
  const deadlineMs = performance.now() + startDeadlineMs
  for (;;) {
    const status = await fetch(url).then(
      (answer) => answer.status,
      () => 503,
    )
    if (status !== 503) return
    if (performance.now() > deadlineMs) throw new BenchError(`${url} is not ready within ${startDeadlineMs / 1_000} s`)
    await new Promise((wake) => setTimeout(wake, 100))
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  return typeof address === 'object' && address !== null ? address.port : 0
}
