import { writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'

/** A CPU profile of this process's JavaScript, of the measured span only: start-up and closing would hide it. */
export class CpuProfile {
  readonly #session = new Session()

  /** Begins; from here on everything is a little slower. */
  async start(): Promise<void> {
    this.#session.connect()
    await this.#session.post('Profiler.enable')
    await this.#session.post('Profiler.start')
  }

  /** Ends, and writes what the developer tools of a browser open. */
  async writeTo(file: string): Promise<void> {
    const { profile } = await this.#session.post('Profiler.stop')
    this.#session.disconnect()
    await writeFile(file, JSON.stringify(profile))
  }
}
