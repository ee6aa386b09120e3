import { connect, createServer, type Server, type Socket } from 'node:net'
import type { KillMoment } from './fault-plan.ts'
import { duringMsMax, slownessMs } from './limits.ts'
import type { WireProtocol } from './wire-protocol.ts'

/** What the next write sets off. */
interface Trap {
  readonly at: Exclude<KillMoment, 'anywhere'>
  /** Ends the sink or its database, or nothing: what was on its way goes nowhere. */
  readonly spring: () => void
}

/** How the database appears to be: there, slow, not there, or there and as silent as behind a network that is cut. */
export type RelayMode = 'open' | 'slow' | 'refusing' | 'silent'

/**
 * Stands between one sink and its database, on the loopback address. It sees where writes begin and are answered, so that a sink can be killed at exactly such a
 * moment without being built for it, and makes the database slow or absent.
 */
export class Relay {
  mode: RelayMode = 'open'
  /** Called for the name of every write that begins. */
  onAsked: (name: string) => void = () => undefined
  /** Called for the name of every write that is answered; the same name again is a repetition. */
  onAnswered: (name: string) => void = () => undefined
  readonly #server: Server
  readonly #target: number
  readonly #protocol: WireProtocol
  readonly #sockets = new Set<Socket>()
  #trap: Trap | undefined

  /** Listens on a free port, for a database on `target`. */
  static async open(target: number, protocol: WireProtocol): Promise<Relay> {
    const relay = new Relay(target, protocol)
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject)
      relay.#server.listen(0, '127.0.0.1', resolve)
    })
    return relay
  }

  private constructor(target: number, protocol: WireProtocol) {
    this.#target = target
    this.#protocol = protocol
    this.#server = createServer((client) => this.#accept(client))
  }

  /** Where the sink finds its database. */
  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Sets off `trap` at the next write that comes to its moment, once. */
  arm(trap: Trap): void {
    this.#trap = trap
  }

  disarm(): void {
    this.#trap = undefined
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(client: Socket): void {
    if (this.mode === 'refusing') {
      client.destroy()
      return
    }
    if (this.mode === 'silent') {
      this.#sockets.add(client)
      client.on('error', () => undefined)
      client.once('close', () => this.#sockets.delete(client))
      client.resume()
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: this.#target })
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.once('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    let asked: string | undefined
    client.on('data', (chunk) => {
      if (this.mode === 'silent') return
      const { name, bytes } = this.#protocol.read(chunk)
      if (name !== undefined) {
        asked = name
        this.onAsked(name)
        if (this.#springs('before-write')) return
      }
      upstream.write(bytes)
      if (name !== undefined && this.#trap?.at === 'during-write') this.#springLater(client)
    })
    upstream.on('data', (chunk) => {
      if (this.mode === 'silent') return
      if (asked !== undefined) {
        if (this.#springs('before-answer')) {
          this.onAnswered(asked)
          return
        }
        this.onAnswered(asked)
        asked = undefined
      }
      // The same delay for all keeps the order.
      if (this.mode === 'slow') setTimeout(() => client.write(chunk), slownessMs)
      else client.write(chunk)
    })
  }

  #springs(at: Trap['at']): boolean {
    const trap = this.#trap
    if (trap?.at !== at) return false
    this.#trap = undefined
    trap.spring()
    this.cut()
    return true
  }

  #springLater(client: Socket): void {
    const trap = this.#trap
    this.#trap = undefined
    setTimeout(() => {
      trap?.spring()
      client.destroy()
    }, Math.random() * duringMsMax)
  }
}
