import { setTimeout as delay } from 'node:timers/promises'
import { hungMs, pauseMs, reconnectMs, senders } from './limits.ts'
import { bodyOf, type Outcome, type RequestKind, requestKinds, type SentRequest } from './requests.ts'

/** Clients that send one request after the other until they are stopped, whatever happens to whom they talk to. */
export class ClientLoad {
  /** Every request that is over, in the order in which they ended. */
  readonly sent: SentRequest[] = []
  readonly #url: string
  readonly #token: () => string
  #isStopped = false
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: { readonly url: string; readonly token: () => string }) {
    this.#url = options.url
    this.#token = options.token
  }

  start(): void {
    const clients = requestKinds.flatMap((kind) =>
      Array.from({ length: senders[kind].clients }, (_, i) => this.#sendAll(kind, `${kind}-${i}`)),
    )
    this.#running = Promise.all(clients)
  }

  /** Resolves when the last answers have come. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  /** How many requests since the `from`th had this outcome. */
  count(outcome: Outcome, from = 0): number {
    let count = 0
    for (let i = from; i < this.sent.length; i++) if (this.sent[i]?.outcome === outcome) count++
    return count
  }

  async #sendAll(kind: RequestKind, client: string): Promise<void> {
    const count = senders[kind].items
    for (let first = 0; !this.#isStopped; first += count) {
      const startedMs = Date.now()
      const began = performance.now()
      const outcome = await this.#post(kind, client, first)
      this.sent.push({ client, kind, first, count, startedMs, tookMs: performance.now() - began, outcome })
      await delay(outcome === 'lost' ? reconnectMs : pauseMs)
    }
  }

  async #post(kind: RequestKind, client: string, first: number): Promise<Outcome> {
    const { path, type, body } = bodyOf(kind, client, first)
    try {
      const answer = await fetch(`${this.#url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.#token()}`, 'content-type': type },
        body,
        signal: AbortSignal.timeout(hungMs),
      })
      const { durability, code } = JSON.parse(await answer.text())
      return answer.status === 202 ? durability : `refused ${answer.status} ${code}`
    } catch (error) {
      return error instanceof Error && error.name === 'TimeoutError' ? 'hung' : 'lost'
    }
  }
}
