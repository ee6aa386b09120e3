import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { Type } from 'typebox'
import { GatewayError } from '../errors.ts'
import { leadFieldsRefreshMs, leadFieldsStaleMs } from '../limits.ts'
import { compileCheck } from '../schema/schema-check.ts'
import { definitionFaults, FieldDefinition } from './field-definition.ts'
import { compileFieldRules, type FieldRules } from './field-rules.ts'
import type { KeptLeadFields, LeadFieldStore } from './ports.ts'

/** The definitions of lead fields as they are now, without a query. */
export interface LeadFields {
  /** The rules of a source; undefined when it has none. Throws `NOT_READY` as long as no definitions have been read at all. */
  of(source: string | null): FieldRules | undefined
  /** The rules of every source. Throws as `of` does. */
  all(): readonly FieldRules[]
}

/** What the live definitions need. */
export interface LiveLeadFieldsDeps {
  readonly store: Pick<LeadFieldStore, 'changes' | 'readAll'>
  readonly logger: Pick<FastifyBaseLogger, 'warn' | 'info'>
  readonly nowMs: () => number
}

const { check: isDefinitions } = compileCheck(Type.Array(FieldDefinition))

/**
 * Keeps the definitions compiled, and asks every `leadFieldsRefreshMs` whether any has changed: one row, and all of them only when it has. While the store is
 * away, or holds what this version cannot read, the last ones stay. A gateway that never had any refuses leads: it could not tell good ones from bad ones, and
 * without the store it could not tell callers from strangers either.
 */
export class LiveLeadFields implements LeadFields {
  readonly #deps: LiveLeadFieldsDeps
  readonly #timer: NodeJS.Timeout
  #rules: ReadonlyMap<string | null, FieldRules> | undefined
  #changes = -1
  #readMs = Number.NEGATIVE_INFINITY
  #failing = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #closed = false

  constructor(deps: LiveLeadFieldsDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => void this.#quietly(), leadFieldsRefreshMs)
    this.#timer.unref()
  }

  of(source: string | null): FieldRules | undefined {
    return this.#known().get(source)
  }

  all(): readonly FieldRules[] {
    return [...this.#known().values()]
  }

  /** Reads what is in the store now: a read that has begun before does not count. Throws what the store throws. */
  refresh(): Promise<void> {
    if (this.#running === undefined) return this.#run()
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#run()
      })
    return this.#next
  }

  /** Reads for the first time, for as long as a service may wait with its start; never rejects. */
  async begin(waitMs: number): Promise<void> {
    await Promise.race([this.#quietly(), sleep(waitMs, undefined, { ref: false })])
  }

  /** For the health of the service: throws when there are no definitions, or old ones. */
  requireFresh(): void {
    const ageMs = this.#deps.nowMs() - this.#readMs
    if (ageMs > leadFieldsStaleMs) throw new Error('the definitions of lead fields could not be read for a while')
  }

  /** Asks no more; idempotent. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
  }

  #known(): ReadonlyMap<string | null, FieldRules> {
    if (this.#rules !== undefined) return this.#rules
    throw new GatewayError('NOT_READY', 'The definitions of lead fields are not known yet: try again in a moment.')
  }

  #run(): Promise<void> {
    this.#running = this.#read().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #read(): Promise<void> {
    const { store, nowMs } = this.#deps
    const askedMs = nowMs()
    if (this.#rules === undefined || (await store.changes()) !== this.#changes) {
      const { changes, sources } = await store.readAll()
      this.#rules = new Map(sources.map((kept) => [kept.source, rulesOf(kept)]))
      this.#changes = changes
    }
    this.#readMs = askedMs
  }

  /** A failure is told once, not every second of an outage. A round that finds the one before it still waiting for the store lets it. */
  async #quietly(): Promise<void> {
    if (this.#running !== undefined) return
    try {
      await this.#run()
      if (this.#failing) this.#deps.logger.info('the definitions of lead fields can be read again')
      this.#failing = false
    } catch (err) {
      if (!this.#failing && !this.#closed)
        this.#deps.logger.warn({ err }, 'the definitions of lead fields cannot be read: the last ones stay')
      this.#failing = true
    }
  }
}

/** Throws for definitions that a newer version wrote, or nobody of us. */
function rulesOf({ id, source, undefinedAttributes, fields }: KeptLeadFields): FieldRules {
  const parsed: unknown = JSON.parse(fields)
  if (!isDefinitions(parsed) || definitionFaults(parsed, '').length > 0) {
    throw new Error(`the definitions ${id} are not of a form that this version knows`)
  }
  return compileFieldRules({ source, undefinedAttributes, fields: parsed })
}
