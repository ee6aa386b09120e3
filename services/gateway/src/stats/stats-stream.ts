import { Readable } from 'node:stream'
import { statsStreamBufferBytesMax } from '../limits.ts'
import type { StatsSink } from './stats-hub.ts'

/** The body of one `GET /stats/stream`: keeps what the client has not read yet, and ends when that becomes too much. */
export class StatsStream extends Readable implements StatsSink {
  readonly #bytesMax: number

  constructor(bytesMax: number = statsStreamBufferBytesMax) {
    super()
    this.#bytesMax = bytesMax
  }

  override _read(): void {
    // Nothing to fetch: updates are pushed as they come.
  }

  send(text: string): boolean {
    if (this.destroyed || this.readableEnded) return false
    if (this.readableLength + text.length > this.#bytesMax) {
      this.destroy()
      return false
    }
    this.push(text)
    return true
  }

  end(): void {
    if (!this.destroyed) this.push(null)
  }
}
