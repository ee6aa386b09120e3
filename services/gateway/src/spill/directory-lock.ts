import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join, relative, resolve } from 'node:path'

/** The right to use a directory. */
export interface DirectoryLock {
  release(): Promise<void>
}

/** The longest address of a local socket on Linux, without the closing zero. */
const socketPathBytesMax = 107
/** A process on this machine answers within milliseconds, unless it is stopped: then it is its owner all the same. */
const answerTimeoutMs = 2_000

/**
 * Takes a directory for this process. The lock is a socket that the owner listens on: the system closes it with the process, however that
 * ends, so that a lock left behind is told from a held one without process ids, which mean nothing across containers. Throws when another
 * process has the directory.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = socketPath(directory)
  if (Buffer.byteLength(path) > socketPathBytesMax) {
    throw new Error(`the path of ${directory} is too long for a socket in it: at most ${socketPathBytesMax - 11} bytes`)
  }
  const token = randomUUID()
  if ((await ownerOf(path)) !== undefined) throw new Error(`another gateway uses ${directory}: each needs its own`)
  await rm(path, { force: true })
  const server = createServer((socket) => socket.on('error', () => {}).end(token))
  server.listen(path)
  await once(server, 'listening')
  server.unref()
  // Of two that found the same old socket at the same moment, the later one has replaced the earlier one's.
  if ((await ownerOf(path)) !== token) {
    await close(server)
    throw new Error(`another gateway took ${directory} at the same moment: each needs its own`)
  }
  return { release: () => close(server) }
}

/** As seen from the working directory, where that is shorter. */
function socketPath(directory: string): string {
  const absolute = join(resolve(directory), 'owner.sock')
  const fromHere = relative(process.cwd(), absolute)
  return fromHere.length < absolute.length ? fromHere : absolute
}

/** The token of the process that listens; undefined when none does. */
function ownerOf(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path)
    let answer = ''
    socket.setEncoding('utf8').setTimeout(answerTimeoutMs, () => socket.destroy())
    socket.on('connect', () => {
      answer = answer === '' ? '?' : answer
    })
    socket.on('data', (text: string) => {
      answer = answer === '?' ? text : answer + text
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer === '' ? undefined : answer))
  })
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return
  server.close()
  await once(server, 'close')
}
