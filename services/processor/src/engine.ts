import { type Logger, waitFor } from '@millrace/kit'
import { type Event, type RecordCodec, type Registry, SchemaError } from '@millrace/schemas'
import {
  type AppCloseOptions,
  type AppProbes,
  type AppSnapshot,
  type Broker,
  type ByteStoreProvider,
  type FailureAction,
  type FailurePolicy,
  type Guarantee,
  hasCode,
  type ReadOnlyStore,
  type StoreOwner,
  type StoreSnapshot,
  StreamsApp,
  type Topology,
} from '@millrace/streams'

/** What the engine is made of. Broker and stores stay the caller's to close. */
export interface EngineOptions {
  readonly topology: Topology
  readonly broker: Broker
  readonly stores: ByteStoreProvider
  readonly events: RecordCodec<Event>
  readonly registry: Pick<Registry, 'schemaById'>
  readonly logger: Logger
  readonly probes: AppProbes
  /** What becomes of events that cannot be read. Default `dead-letter`. */
  readonly unreadable?: Extract<FailureAction, 'dead-letter' | 'skip'>
  readonly settings: {
    readonly applicationId: string
    readonly guarantee: Guarantee
    readonly commitIntervalMs: number
    readonly idleMs: number
    readonly sessionTimeoutMs: number
    readonly replicationFactor: number
    readonly stateBytesMax: number
    readonly numStandbys?: number
    readonly stateCleanupDelayMs?: number
    readonly queryEndpoint?: string
  }
  /** How often schemas that the registry did not have are asked for again: their records may be put back by then. Default 5 s. */
  readonly unknownSchemaRetryMs?: number
  /** How long a schema that is not known is asked for while the registry is away. Default: the kit's deadline for servers. */
  readonly registryWaitMs?: number
  /** Ends that wait. */
  readonly signal?: AbortSignal
}

/**
 * Runs the statistics program. Events that cannot be read go to the dead-letter topic, with one exception: when an event was written with a
 * schema that is not known here yet, the program stops in front of it, fetches the schema from the registry and goes on. If the registry does
 * not have that schema either, or it cannot be read as an event, its events are dead letters. A schema that it did not have is asked for again
 * in the background, so that its events can be put back once it is registered.
 */
export class Engine {
  /** The error that ended the engine; never resolves otherwise. */
  readonly failed: Promise<unknown>
  readonly #options: EngineOptions
  /** Schemas whose events are dead letters; those that the registry did not have are also in the second one. */
  readonly #unreadable = new Set<number>()
  readonly #unregistered = new Set<number>()
  #retryTimer: NodeJS.Timeout | undefined
  #isAsking = false
  readonly #fail: (error: unknown) => void
  #app: StreamsApp
  #closing = false

  constructor(options: EngineOptions) {
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.failed = promise
    this.#fail = resolve
    this.#app = this.#newApp()
  }

  /** Resolves when topics are there and processing begins; `snapshot` tells when it runs. Throws what `StreamsApp.start` does. */
  async start(): Promise<void> {
    const app = this.#app
    void app.failed.then((error) => this.#restartAfter(error))
    const { unknownSchemaRetryMs = unknownSchemaRetryMsDefault } = this.#options
    this.#retryTimer ??= setInterval(() => void this.#askAgain(), unknownSchemaRetryMs).unref()
    await app.start()
  }

  snapshot(): AppSnapshot {
    return this.#app.snapshot()
  }

  /** See `StreamsApp.stores`. */
  stores(): Promise<readonly StoreSnapshot[]> {
    return this.#app.stores()
  }

  /** See `StreamsApp.store`; every store of the program has text keys. */
  store(name: string): ReadOnlyStore<string, unknown> {
    return this.#app.store<string, unknown>(name)
  }

  /** See `StreamsApp.ownerOf`. */
  ownerOf(store: string, key: string): StoreOwner {
    return this.#app.ownerOf(store, key)
  }

  /** Commits and closes, see `StreamsApp.close`. Idempotent. */
  async close(options: AppCloseOptions = {}): Promise<void> {
    this.#closing = true
    clearInterval(this.#retryTimer)
    await this.#app.close(options)
  }

  #newApp(): StreamsApp {
    const { topology, broker, stores, logger, probes, settings } = this.#options
    return new StreamsApp({ ...settings, topology, broker, stores, logger, probes, onFailure: this.#onFailure })
  }

  readonly #onFailure: FailurePolicy = (_stage, error) => {
    const schemaId = unknownSchemaOf(error)
    if (schemaId !== undefined && !this.#unreadable.has(schemaId)) return 'fail'
    return this.#options.unreadable ?? 'dead-letter'
  }

  async #restartAfter(error: unknown): Promise<void> {
    const schemaId = unknownSchemaOf(error)
    if (schemaId === undefined || this.#closing) {
      this.#fail(error)
      return
    }
    try {
      await this.#app.close()
      await this.#learn(schemaId)
      if (this.#closing) return
      this.#app = this.#newApp()
      await this.start()
    } catch (cause) {
      this.#fail(cause)
    }
  }

  async #learn(schemaId: number): Promise<void> {
    const { registry, events, logger, registryWaitMs, signal } = this.#options
    try {
      const schema = await waitFor('The schema registry', () => registry.schemaById(schemaId), {
        logger,
        isRetryable: (error) => error instanceof SchemaError && error.retryable,
        ...(registryWaitMs === undefined ? {} : { deadlineMs: registryWaitMs }),
        ...(signal === undefined ? {} : { signal }),
      })
      events.learn(schemaId, schema)
      logger.info({ schema_id: schemaId }, 'schema learned')
    } catch (error) {
      if (!(error instanceof SchemaError) || error.retryable) throw error
      this.#unreadable.add(schemaId)
      if (error.code === 'NOT_REGISTERED' && this.#unregistered.size < unknownSchemasMax) {
        this.#unregistered.add(schemaId)
      }
      logger.warn({ schema_id: schemaId, err: error }, 'events of this schema cannot be read: they are dead letters')
    }
  }

  /** Looks whether schemas have been registered in the meantime. Never rejects. */
  async #askAgain(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    const { registry, events, logger } = this.#options
    for (const schemaId of this.#unregistered) {
      try {
        events.learn(schemaId, await registry.schemaById(schemaId))
      } catch (error) {
        if (error instanceof SchemaError && error.code === 'INCOMPATIBLE') this.#unregistered.delete(schemaId)
        // Not there yet, or the registry is away: the next time will show.
        continue
      }
      this.#unregistered.delete(schemaId)
      this.#unreadable.delete(schemaId)
      logger.info({ schema_id: schemaId }, 'schema learned: it was registered in the meantime')
    }
    this.#isAsking = false
  }
}

const unknownSchemaRetryMsDefault = 5_000
/** Schemas that are asked for again: one request each, every time. */
const unknownSchemasMax = 100

/** The schema id that made a record undecodable, when it was one that the codec does not know. */
function unknownSchemaOf(error: unknown): number | undefined {
  if (!hasCode(error, 'DESERIALIZATION')) return undefined
  const { cause } = error
  return cause instanceof SchemaError && cause.code === 'UNKNOWN_SCHEMA' ? cause.schemaId : undefined
}
