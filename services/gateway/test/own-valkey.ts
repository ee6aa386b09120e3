import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createFolders, layFolders } from '../../../deploy/local/src/folders.ts'
import { obtainJava, systemSearch } from '../../../deploy/local/src/java.ts'
import { fetchUnpacked } from '../../../deploy/local/src/maven.ts'
import { freePorts } from '../../../deploy/local/src/ports.ts'
import { versions } from '../../../deploy/local/src/versions.ts'
import { type OwnProcess, ownProcess } from './own-process.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')
const readyWithinMs = 30_000

/** A Valkey or Redis of one test: nothing is written to disk. */
export interface OwnValkey extends OwnProcess {
  readonly port: number
  readonly password: string
}

/** Prepares a server on a free port; it does not run yet. */
export async function prepareOwnValkey(): Promise<OwnValkey> {
  const instance = mkdtempSync(join(tmpdir(), 'millrace-own-valkey-'))
  const command = serverOnPath() ?? (await fetchServer(instance))
  const [port = 0] = await freePorts(1)
  const password = 'a password of the tests'
  const settings = { port, bind: '127.0.0.1', requirepass: password, save: '', appendonly: 'no', dir: instance }
  const server = ownProcess({
    name: 'Valkey',
    command,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    folder: instance,
    isReady: () => listens(port),
    readyWithinMs,
  })
  return { port, password, ...server }
}

function serverOnPath(): string | undefined {
  return ['valkey-server', 'redis-server'].find(
    (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0,
  )
}

/** Redis 6.2, which a Java library brings along for Linux and macOS. */
async function fetchServer(instance: string): Promise<string> {
  const folders = layFolders({ root, cache: `${root}/.millrace`, instance })
  createFolders(folders)
  const signal = AbortSignal.timeout(170_000)
  const report = () => {}
  const java = await obtainJava({ search: systemSearch(process.env), cacheFolder: folders.servers, report, signal })
  const folder = join(folders.servers, `embedded-redis-${versions.embeddedRedis}`)
  const artifact = `com.github.codemonstur:embedded-redis:${versions.embeddedRedis}`
  await fetchUnpacked({ java, environment: process.env, report, signal }, 'Redis', folder, artifact)
  const ending = `-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const name = readdirSync(folder).find((file) => file.startsWith('redis-server-') && file.endsWith(ending))
  if (name === undefined) throw new Error(`no Redis for ${ending}: install valkey or redis`)
  const binary = join(folder, name)
  chmodSync(binary, 0o755)
  return binary
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
