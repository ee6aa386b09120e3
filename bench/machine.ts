import { cpus, loadavg, totalmem } from 'node:os'

/** What was measured on, and how busy it was: a figure without this says little. */
export class Machine {
  readonly #loadBefore = load()

  /** One line for people; the load is how many processes wanted to run, over the minute before, ours included at the end. */
  conditions(): string {
    const [first, ...others] = cpus()
    const memory = Math.round(totalmem() / 1024 ** 3)
    return `${others.length + 1} × ${first?.model ?? 'CPU'}, ${memory} GiB, Node ${process.versions.node}; load ${this.#loadBefore} before, ${load()} after`
  }
}

function load(): string {
  return (loadavg()[0] ?? 0).toFixed(1)
}
