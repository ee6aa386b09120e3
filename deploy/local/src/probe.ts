import { connect } from 'node:net'

/**
 * Opens a TCP connection to the loopback port, sends `request` (when there is one) and answers the first bytes that
 * come back. Throws when nothing listens or nothing comes.
 */
export async function firstBytes(port: number, request: Buffer | undefined, signal: AbortSignal): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', signal })
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('close', () => reject(new Error(`The connection to port ${port} was closed`)))
      socket.once('data', resolve)
      if (request !== undefined) socket.write(request)
    })
  } finally {
    socket.destroy()
  }
}

/** Whether a GET answers 200. The body is discarded. */
export async function answersOk(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { signal })
  await response.body?.cancel()
  return response.ok
}
