import type { Admin, Broker } from '../core/broker.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import { type Logger, silentLogger } from '../core/logger.ts'
import type { ByteStoreProvider } from '../state/store.ts'
import { type PartitionPlan, partitionPlan } from '../topology/partition-plan.ts'
import { type TopicNames, topicNames } from '../topology/topic-names.ts'
import type { Topology } from '../topology/topology.ts'
import { externalTopics } from './assignment.ts'
import type { Guarantee } from './commit-channel.ts'
import type { Failpoint } from './failpoint.ts'
import { ensureInternalTopics, internalTopics } from './internal-topics.ts'
import {
  closeDeadlineMsDefault,
  commitIntervalMsDefault,
  idleMsDefault,
  sessionTimeoutMsDefault,
  stateBytesMaxDefault,
  stateCleanupDelayMsDefault,
  topicsPollMs,
  topicsWaitMsDefault,
  transactionTimeoutMsDefault,
} from './limits.ts'
import type { AppProbes, AppSnapshot } from './probes.ts'
import { Queries, type ReadOnlyStore, type StoreSnapshot } from './queries.ts'
import type { QueryWorld, StoreOwner } from './queries-locate.ts'
import { type RunState, RunStateMachine } from './run-states.ts'
import { StreamThread } from './stream-thread.ts'
import type { FailurePolicy } from './task.ts'
import { within } from './within.ts'

/** What an application is made of. Broker and stores stay the caller's to close, after the application. */
export interface StreamsAppOptions {
  readonly topology: Topology
  /** The group's id, and the first part of the names of repartition and changelog topics. */
  readonly applicationId: string
  readonly broker: Broker
  /** With every store of the topology (`storeNames`). */
  readonly stores: ByteStoreProvider
  /** Default `exactly_once`. */
  readonly guarantee?: Guarantee
  /** Default 100. */
  readonly commitIntervalMs?: number
  /** After how long without input a task no longer holds up others' stream time. Default 5,000. */
  readonly idleMs?: number
  /** Of internal topics that are created. Default −1: what the broker is configured with. */
  readonly replicationFactor?: number
  /** After how long a silent process loses its tasks. Default 10,000. */
  readonly sessionTimeoutMs?: number
  /** After how long the broker aborts the transaction of a process that never came back. Default 10,000. */
  readonly transactionTimeoutMs?: number
  /** How long `start` waits for source and sink topics. Default 60,000. */
  readonly topicsWaitMs?: number
  /** How many other members keep a copy of each partition's state up to date, so that they take over without a restore. Default 0. */
  readonly numStandbys?: number
  /** After how long state is deleted of partitions that others process now. Default 600,000. */
  readonly stateCleanupDelayMs?: number
  /** Memory for rows, cached and changed ones together. Default 128 MiB. */
  readonly stateBytesMax?: number
  /** How long `close` may take, the last commit half of it. Default 8,000. */
  readonly closeDeadlineMs?: number
  /** What to do about records that fail. Default: the application fails. */
  readonly onFailure?: FailurePolicy
  /** Default `<topic>.dlq`. */
  readonly deadLetterTopicOf?: (topic: string) => string
  /** Where other members ask this process for its rows (`http://host:port`), which `ownerOf` tells them. Default: nowhere. */
  readonly queryEndpoint?: string
  readonly onStateChange?: (to: RunState, from: RunState) => void
  readonly probes?: AppProbes
  readonly logger?: Logger
  readonly clock?: Clock
  /** For tests. */
  readonly failpoint?: Failpoint
}

/** How an application goes. */
export interface AppCloseOptions {
  /**
   * True, the default: leaves the group, so that others take the tasks over at once. False, for a restart: stays a member, gets the same tasks
   * back when it returns with its state within the session timeout, and until then nobody processes them.
   */
  readonly leave?: boolean
}

/**
 * Runs a topology against a broker. Any number of processes with the same application id share its tasks.
 *
 *     const app = new StreamsApp({ topology, applicationId: 'counts', broker, stores })
 *     await app.start()
 *     app.failed.then((error) => …)
 *     await app.close()
 */
export class StreamsApp {
  /** The error that ended the application; never resolves otherwise. Close it then. */
  readonly failed: Promise<unknown>
  readonly #options: StreamsAppOptions
  readonly #names: TopicNames
  readonly #states: RunStateMachine
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #fail: (error: unknown) => void
  readonly #closing = new AbortController()
  readonly #queries: Queries
  #admin: Admin | undefined
  #plan: PartitionPlan | undefined
  #thread: StreamThread | undefined
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(options: StreamsAppOptions) {
    check(options)
    this.#options = options
    this.#names = topicNames(options.applicationId)
    this.#logger = options.logger ?? silentLogger
    this.#clock = options.clock ?? systemClock
    this.#states = new RunStateMachine((to, from) => {
      this.#logger.info({ state: to, from }, `streams application is ${to}`)
      options.probes?.stateChanged?.(to, from)
      options.onStateChange?.(to, from)
    })
    this.#queries = new Queries(options.topology, this.#names, this.#queryWorld())
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.failed = promise
    this.#fail = resolve
  }

  get state(): RunState {
    return this.#states.state
  }

  /**
   * Checks the topics and begins; `running` is reported when the stores are restored. Waits for the broker, and for source and sink
   * topics, up to `topicsWaitMs`. Throws `TOPIC_MISSING`, `TOPIC_MISMATCH`, `BROKER_UNAVAILABLE`.
   */
  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  /** Where the application is. */
  snapshot(): AppSnapshot {
    const { tasks, restore, standbys } = this.#thread?.snapshot() ?? { tasks: [], restore: undefined, standbys: [] }
    return { state: this.state, tasks, restore, standbys }
  }

  /**
   * A store, to be read while the application runs: its rows as of the last commit, of the partitions that are here. K and V are the caller's
   * word for what the program keeps in it. Throws `STORE_UNKNOWN`.
   */
  store<K = unknown, V = unknown>(name: string): ReadOnlyStore<K, V> {
    return this.#queries.store<K, V>(name)
  }

  /** Which member has the rows of a key, and where to ask it. Throws `STORE_UNKNOWN`, `STORE_NOT_READY`, `INVALID_QUERY`. */
  ownerOf(store: string, key: unknown): StoreOwner {
    return this.#queries.ownerOf(store, key)
  }

  /** Every store of the topology, what of it is here, and about how large that is. */
  stores(): Promise<readonly StoreSnapshot[]> {
    return this.#queries.snapshot(this.#options.stores)
  }

  /**
   * Commits, gives the tasks back and closes. Idempotent, the first call decides how; resolves when done, whatever the state, or after
   * `closeDeadlineMs`: then the rest is left to the end of the process.
   */
  close(options: AppCloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options.leave ?? true)
    return this.#closed
  }

  get #closeDeadlineMs(): number {
    return this.#options.closeDeadlineMs ?? closeDeadlineMsDefault
  }

  async #start(): Promise<void> {
    this.#states.moveTo('starting')
    try {
      const { admin, plan } = await this.#prepareTopics()
      this.#plan = plan
      if (this.#closing.signal.aborted) return
      const thread = new StreamThread({ ...this.#threadOptions(), admin, plan })
      this.#thread = thread
      this.#states.moveTo('recovering')
      thread.run().catch((error: unknown) => this.#ended(error))
    } catch (error) {
      if (this.state === 'starting') this.#states.moveTo('failed')
      throw error
    }
  }

  async #prepareTopics(): Promise<{ readonly admin: Admin; readonly plan: PartitionPlan }> {
    const deadlineMs = this.#clock.nowMs() + (this.#options.topicsWaitMs ?? topicsWaitMsDefault)
    for (;;) {
      try {
        return await this.#tryTopics()
      } catch (error) {
        const again = hasCode(error, 'BROKER_UNAVAILABLE', 'TIMED_OUT', 'TOPIC_MISSING')
        if (!again || this.#clock.nowMs() >= deadlineMs || this.#closing.signal.aborted) throw error
        this.#logger.info({ reason: error.message, delay_ms: topicsPollMs }, 'waiting for the broker and its topics')
        await new Promise((resolve) => setTimeout(resolve, topicsPollMs))
      }
    }
  }

  async #tryTopics(): Promise<{ readonly admin: Admin; readonly plan: PartitionPlan }> {
    const { topology, broker, replicationFactor = -1 } = this.#options
    this.#admin ??= await broker.openAdmin()
    const admin = this.#admin
    const external = externalTopics(topology)
    const deadLetters = external.map(this.#options.deadLetterTopicOf ?? ((topic) => `${topic}.dlq`))
    const existing = await admin.describeTopics([...external, ...deadLetters])
    const missing = external.filter((topic) => !existing.has(topic))
    if (missing.length > 0) {
      throw new StreamsError('TOPIC_MISSING', `topics ${missing.join(', ')} do not exist: create them first`, {
        ...(missing[0] === undefined ? {} : { topic: missing[0] }),
      })
    }
    const partitions = new Map([...existing].map(([name, topic]) => [name, topic.partitions]))
    const plan = partitionPlan(topology, this.#names, partitions)
    const topics = internalTopics(topology, plan, { names: this.#names, replicationFactor })
    await ensureInternalTopics(admin, topics, this.#logger)
    return { admin, plan }
  }

  #queryWorld(): QueryWorld {
    const app = this
    return {
      get state() {
        return app.state
      },
      get plan() {
        return app.#plan
      },
      get group() {
        return app.#thread?.group
      },
      rowsOf: (store, partition) => app.#thread?.rowsOf(store, partition),
    }
  }

  #threadOptions() {
    const options = this.#options
    return {
      number: 1,
      applicationId: options.applicationId,
      topology: options.topology,
      names: this.#names,
      broker: options.broker,
      stores: options.stores,
      guarantee: options.guarantee ?? 'exactly_once',
      commitIntervalMs: options.commitIntervalMs ?? commitIntervalMsDefault,
      idleMs: options.idleMs ?? idleMsDefault,
      sessionTimeoutMs: options.sessionTimeoutMs ?? sessionTimeoutMsDefault,
      transactionTimeoutMs: options.transactionTimeoutMs ?? transactionTimeoutMsDefault,
      stateBytesMax: options.stateBytesMax ?? stateBytesMaxDefault,
      closeDeadlineMs: this.#closeDeadlineMs,
      numStandbys: options.numStandbys ?? 0,
      stateCleanupDelayMs: options.stateCleanupDelayMs ?? stateCleanupDelayMsDefault,
      queryEndpoint: options.queryEndpoint ?? null,
      clock: this.#clock,
      logger: this.#logger,
      probes: options.probes ?? {},
      onFailure: options.onFailure,
      deadLetterTopicOf: options.deadLetterTopicOf,
      failpoint: options.failpoint ?? (() => {}),
      onState: (state: 'recovering' | 'running') => this.#follow(state),
    } as const
  }

  /** The thread goes on reporting while the application is closing. */
  #follow(state: 'recovering' | 'running'): void {
    if (this.state === 'recovering' || this.state === 'running') this.#states.moveTo(state)
  }

  #ended(error: unknown): void {
    this.#logger.error({ err: error }, 'streams application failed')
    if (this.state !== 'closed') this.#states.moveTo('failed')
    this.#fail(error)
  }

  async #close(leave: boolean): Promise<void> {
    if (this.state === 'created') {
      this.#states.moveTo('closed')
      return
    }
    this.#closing.abort()
    await within(this.#closeDeadlineMs, Promise.resolve(this.#started), 'starting').catch(() => undefined)
    this.#states.moveTo('closing')
    try {
      await within(this.#closeDeadlineMs, this.#closeParts(leave), 'closing')
    } catch (error) {
      this.#logger.warn({ err: error }, 'not closed in time: what was not committed will be processed again')
    }
    if (this.state !== 'closed') this.#states.moveTo('closed')
  }

  async #closeParts(leave: boolean): Promise<void> {
    await this.#thread?.close({ leave })
    await this.#admin?.close()
  }
}

/** Throws `INVALID_CONFIG` with every fault. */
function check(options: StreamsAppOptions): void {
  const { applicationId, commitIntervalMs = commitIntervalMsDefault } = options
  const transactionTimeoutMs = options.transactionTimeoutMs ?? transactionTimeoutMsDefault
  const faults: string[] = []
  if (!/^[a-zA-Z0-9._-]{1,200}$/.test(applicationId)) {
    faults.push(
      `applicationId "${applicationId}" must be 1 to 200 letters, digits, ".", "_" or "-": it is part of topic names`,
    )
  }
  if (!(commitIntervalMs >= 1)) faults.push(`commitIntervalMs is ${commitIntervalMs} and must be at least 1`)
  if (transactionTimeoutMs <= commitIntervalMs) {
    faults.push(`transactionTimeoutMs (${transactionTimeoutMs}) must be above commitIntervalMs (${commitIntervalMs})`)
  }
  const { numStandbys = 0, stateCleanupDelayMs = stateCleanupDelayMsDefault } = options
  if (!Number.isSafeInteger(numStandbys) || numStandbys < 0) {
    faults.push(`numStandbys is ${numStandbys} and must be a whole number from 0 on`)
  }
  if (!(stateCleanupDelayMs >= 0)) faults.push(`stateCleanupDelayMs is ${stateCleanupDelayMs} and must be at least 0`)
  if (faults.length > 0) throw new StreamsError('INVALID_CONFIG', faults.join('; '))
}

/** The names of all stores of a topology, as a provider wants them. */
export function storeNames(topology: Topology): readonly string[] {
  return topology.subtopologies.flatMap(({ stores }) => stores.map(({ name }) => name))
}
