import { createServer, connect as open, type Server, type Socket } from 'node:net'

/**
 * What happens to a request: passed on; lost with its connection before it reaches the broker; done, and only its answer lost; swallowed, as by a
 * broker without power, whose connection stays open and brings nothing any more.
 */
export type Fate = 'pass' | 'loseRequest' | 'loseAnswer' | 'silence'

/** Kafka's numbers of the requests that tests treat specially. */
export const apiKeys = {
  produce: 0,
  fetch: 1,
  offsetCommit: 8,
  joinGroup: 11,
  heartbeat: 12,
  syncGroup: 14,
  addPartitionsToTxn: 24,
  endTxn: 26,
  txnOffsetCommit: 28,
} as const

/** A TCP proxy in front of one broker that reads the header of each request, and loses connections when it is told to. */
export class FaultProxy {
  /** Asked for every request. */
  decide: (apiKey: number) => Fate = () => 'pass'
  readonly #target: { readonly host: string; readonly port: number }
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  isRefusing = false

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target
    this.#server = createServer((client) => this.#serve(client))
  }

  /** Listens on a free port of the loopback address. */
  async listen(): Promise<{ readonly host: string; readonly port: number }> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
    return { host: '127.0.0.1', port: address.port }
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(client: Socket): void {
    if (this.isRefusing) {
      client.destroy()
      return
    }
    const broker = open(this.#target.port, this.#target.host)
    let pending = Buffer.alloc(0)
    let losesAnswer = false
    let isSilent = false
    for (const [socket, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      while (!isSilent && pending.length >= 8 && pending.length >= 4 + pending.readInt32BE(0)) {
        const request = pending.subarray(0, 4 + pending.readInt32BE(0))
        pending = pending.subarray(request.length)
        const fate = this.decide(request.readInt16BE(4))
        if (fate === 'loseRequest') {
          client.destroy()
          return
        }
        if (fate === 'loseAnswer') losesAnswer = true
        if (fate === 'silence') isSilent = true
        else broker.write(request)
      }
    })
    broker.on('data', (chunk) => {
      if (losesAnswer) client.destroy()
      else if (!isSilent) client.write(chunk)
    })
  }
}
