import { Readable } from 'node:stream'
import { statsStreamBufferBytesMax } from '../limits.ts'
import type { StatsSink } from './stats-hub.ts'

/** The body of one `GET /stats/stream`: keeps what the client has not read yet, and ends when that becomes too much. */
export class StatsStream extends Readable implements StatsSink {
  onRoom: (() => void) | undefined
  readonly #bytesMax: number

  constructor(bytesMax: number = statsStreamBufferBytesMax) {
    super()
    this.#bytesMax = bytesMax
  }

  /** Half of the bound is left for updates that come meanwhile. */
  get hasRoom(): boolean {
    return this.readableLength < this.#bytesMax / 2
  }

  override _read(): void {
    // Updates are pushed as they come; only what was missed before is fetched.
    this.onRoom?.()
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
