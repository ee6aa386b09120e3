import { join } from 'node:path'
import { FaultError } from '../fault-error.ts'
import type { SinkKind } from './fault-plan.ts'
import { batchAgeMaxMs } from './limits.ts'
import { Relay } from './relay.ts'
import { SinkProcess } from './sink-process.ts'
import { clickHouseWire, mysqlWire } from './wire-protocol.ts'

/** What all sinks have in common. */
export interface SlotOptions {
  readonly kind: SinkKind
  /** What the services read from their environment. */
  readonly variables: Readonly<Record<string, string>>
  readonly folder: string
  /** Breaks what the run must notice: the database sees other tokens than the sink sends. */
  readonly ignoresTokens: boolean
  /** The same: see `SinkProcess`. */
  readonly preload: readonly string[]
  /** What a sink's batches are, and where its health is told. */
  readonly change?: Readonly<Record<string, string>>
  /** Told of a process that ended by itself. */
  readonly onFailed: (error: FaultError) => void
}

const quickBatches = { MILLRACE_SINK_CLICKHOUSE_BATCH_MS: String(batchAgeMaxMs) }

/** A place where a sink runs, one process after the other, with a relay of its own to its database. */
export class SinkSlot {
  readonly name: string
  readonly kind: SinkKind
  readonly relay: Relay
  /** Comes back under the same name in its groups: without waiting for the session of the one that was killed. */
  readonly isStatic: boolean
  process: SinkProcess | undefined
  /** Processes that ran here. */
  starts = 0
  readonly #options: SlotOptions

  static async open(letter: string, options: SlotOptions): Promise<SinkSlot> {
    const { kind, variables, ignoresTokens } = options
    const target =
      kind === 'clickhouse' ? new URL(variables.MILLRACE_CLICKHOUSE_URL ?? '').port : variables.MILLRACE_MYSQL_PORT
    const wire = kind === 'clickhouse' ? clickHouseWire({ ignoresTokens }) : mysqlWire
    return new SinkSlot(letter, await Relay.open(Number(target), wire), options)
  }

  private constructor(letter: string, relay: Relay, options: SlotOptions) {
    this.name = `${options.kind}-${letter}`
    this.kind = options.kind
    this.relay = relay
    this.isStatic = letter === 'a'
    this.#options = options
  }

  /** Starts a process; the former one is gone. */
  start(): void {
    const { variables, folder, kind, onFailed, preload, change = quickBatches } = this.#options
    this.starts++
    const child = new SinkProcess({
      name: this.name,
      kind,
      logFile: join(folder, 'sinks.log'),
      preload,
      environment: {
        PATH: process.env.PATH ?? '',
        // Dozens of starts: what one has compiled the others take.
        NODE_COMPILE_CACHE: join(folder, 'compiled'),
        ...variables,
        MILLRACE_CLICKHOUSE_URL: `http://127.0.0.1:${this.relay.port}`,
        MILLRACE_HEALTH_PORT: '0',
        MILLRACE_LOG_LEVEL: 'info',
        ...change,
        ...(kind === 'mysql' ? { MILLRACE_MYSQL_PORT: String(this.relay.port) } : {}),
        ...(this.isStatic ? { [`MILLRACE_SINK_${kind.toUpperCase()}_INSTANCE_ID`]: this.name } : {}),
      },
    })
    this.process = child
    void child.exited.then((exit) => {
      if (!child.endExpected) onFailed(new FaultError(`${this.name} ended by itself with ${exit}: ${child.lastWords}`))
    })
  }

  /** The process that is there. */
  get present(): SinkProcess {
    if (this.process === undefined) throw new FaultError(`${this.name} was not started`)
    return this.process
  }

  /** The topic that this sink is about: the one whose records are counted. */
  get topic(): 'events' | 'leads' {
    return this.kind === 'clickhouse' ? 'events' : 'leads'
  }

  /** How often the present process was given partitions of its topic. */
  get assignments(): number {
    return this.process?.assignments.get(this.topic) ?? 0
  }
}
