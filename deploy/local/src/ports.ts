import { execFile } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { LauncherError } from './errors.ts'

const run = promisify(execFile)

/** A port that something of ours is going to listen on, and the variable that chooses another one. */
export interface WantedPort {
  readonly name: string
  readonly port: number
  readonly variable: string
}

/** The process that listens on a port, as far as the system tells. */
export interface PortOwner {
  readonly pid: number
  readonly command: string
}

/** Throws PORT_TAKEN, naming every taken port at once, each with its owner and the way out. */
export async function requireFreePorts(wanted: readonly WantedPort[]): Promise<void> {
  const twice = wanted.find((one, index) => wanted.findIndex((other) => other.port === one.port) !== index)
  if (twice !== undefined) {
    const names = wanted.filter(({ port }) => port === twice.port).map(({ name, variable }) => `${name} (${variable})`)
    throw new LauncherError(
      'PORT_TAKEN',
      `Port ${twice.port} is asked for twice: ${names.join(' and ')}. Choose another for one of them`,
    )
  }
  const taken: string[] = []
  for (const { name, port, variable } of wanted) {
    if (await isFree(port)) continue
    const owner = await ownerOf(port)
    const by = owner === undefined ? 'another process' : `process ${owner.pid} (${owner.command})`
    taken.push(`  port ${port} for ${name} is taken by ${by}: stop it, or choose another port with ${variable}=…`)
  }
  if (taken.length > 0)
    throw new LauncherError('PORT_TAKEN', `These ports are not free on 127.0.0.1:\n${taken.join('\n')}`)
}

/** Whether a server of ours could listen on the loopback address's port now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** `count` different free ports, chosen by the system. They are free now; nothing reserves them. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen({ port: 0, host: '127.0.0.1' }, () => {
            const address = server.address()
            if (address === null || typeof address === 'string') reject(new Error('A TCP server has a port'))
            else resolve(address.port)
          })
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Who listens on a port: from /proc on Linux, else from lsof. Undefined when the system does not say. */
export async function ownerOf(port: number, procFolder = '/proc'): Promise<PortOwner | undefined> {
  const inodes = await listeningInodes(port, procFolder)
  if (inodes === undefined) return await ownerFromLsof(port)
  for (const pid of (await readdir(procFolder)).filter((name) => /^\d+$/.test(name))) {
    const folder = `${procFolder}/${pid}/fd`
    const links = await readdir(folder).catch(() => [])
    for (const link of links) {
      const target = await readlink(`${folder}/${link}`).catch(() => '')
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
      if (inode === undefined || !inodes.has(inode)) continue
      const commandLine = await readFile(`${procFolder}/${pid}/cmdline`, 'utf8').catch(() => '')
      return { pid: Number(pid), command: shorten(commandLine.replaceAll(/[\0\s]+/g, ' ').trim()) }
    }
  }
  return undefined
}

/** The socket inodes that listen on `port`; undefined where there is no /proc/net. */
async function listeningInodes(port: number, procFolder: string): Promise<Set<string> | undefined> {
  const listening = '0A'
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`${procFolder}/net/${name}`, 'utf8').catch(() => undefined)),
  )
  if (tables.every((table) => table === undefined)) return undefined
  const inodes = new Set<string>()
  for (const line of tables.join('\n').split('\n')) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    if (state === listening && local?.endsWith(suffix) && inode !== undefined) inodes.add(inode)
  }
  return inodes
}

async function ownerFromLsof(port: number): Promise<PortOwner | undefined> {
  try {
    const { stdout } = await run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'])
    const pid = /^p(\d+)$/m.exec(stdout)?.[1]
    const command = /^c(.+)$/m.exec(stdout)?.[1]
    return pid === undefined ? undefined : { pid: Number(pid), command: command ?? 'unknown' }
  } catch {
    // No lsof, or not allowed to look: the message does without the owner.
    return undefined
  }
}

function shorten(command: string): string {
  const lengthMax = 100
  return command.length <= lengthMax ? command : `${command.slice(0, lengthMax)}…`
}
