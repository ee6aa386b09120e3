import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What came back over a socket. */
export interface Exchange {
  /** Statuses of all answers, in order. */
  readonly statuses: readonly number[]
  readonly text: string
  /** Whether the other side has closed the connection. */
  readonly closed: boolean
  /** What went out before it did. */
  readonly bytesWritten: number
}

/** Nothing comes any more when nothing has come for so long. Only what never comes costs it. */
const quietMs = { before: 10_000, behind: 2_000 }
const waitMsMax = 30_000
const pollMs = 10

/**
 * Writes to a connection of its own, piece by piece as fast as the other side takes them, and reads until that one closes or falls silent. For
 * everything that no client library would send.
 */
export async function exchange(port: number, pieces: Iterable<string | Buffer>): Promise<Exchange> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  let closed = false
  let heardMs = performance.now()
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part
    heardMs = performance.now()
  })
  // A connection that is closed while something is written to it: what came before counts.
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  const startedMs = heardMs
  for (const piece of pieces) {
    if (closed) break
    if (!socket.write(piece)) while (socket.writableNeedDrain && !closed) await sleep(1)
    heardMs = performance.now()
  }
  while (!closed) {
    const now = performance.now()
    const isQuiet = now - heardMs > (text === '' ? quietMs.before : quietMs.behind)
    if (isQuiet || now - startedMs > waitMsMax) break
    await sleep(pollMs)
  }
  const { bytesWritten } = socket
  socket.destroy()
  return { statuses: statusesIn(text), text, closed, bytesWritten }
}

/** The statuses of all answers of a connection. Bodies of ours are JSON and hold no status lines. */
function statusesIn(text: string): readonly number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}
