import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import { type Check, createLogger, createMetrics } from '@millrace/kit'
import { type ApiLog, createCodec, type Event, type Lead } from '@millrace/schemas'
import type { Role } from '@millrace/storage/accounts'
import type { PlainLead } from '@millrace/storage/sealing'
import { partitionOfKey } from '@millrace/streams'
import type { Credentials } from '../src/accounts/credentials.ts'
import { buildApp, type GatewayDeps } from '../src/app.ts'
import type { EventIntake } from '../src/events/ports.ts'
import type { GatewayApp } from '../src/http/gateway-app.ts'
import { createGatewayMetrics } from '../src/http/metrics.ts'
import type { Durability, TopicBatch, TopicWriter } from '../src/kafka/ports.ts'
import { LeadOutcomes } from '../src/leads/lead-outcomes.ts'
import { LeadSealer } from '../src/leads/lead-sealer.ts'
import { LiveLeadFields } from '../src/leads/live-fields.ts'
import { StatsHub } from '../src/stats/stats-hub.ts'
import { createStatsReader } from '../src/stats/stats-reader.ts'
import { StatsView } from '../src/stats/stats-view.ts'
import { MemoryAccounts } from './memory-accounts.ts'
import { MemoryLeadFields } from './memory-lead-fields.ts'
import { MemoryLeadKeys } from './memory-lead-keys.ts'
import { MemoryOperations } from './memory-operations.ts'

export const secret = 'a secret of the tests, with more than 32 bytes'

/** Keeps what was written, and fails when told to. */
export class FakeWriter<T> {
  readonly written: T[] = []
  failure: Error | undefined
  durability: Durability = 'kafka'
  /** Called before a write resolves. */
  onWrite: (values: readonly T[]) => void = () => {}

  async write(values: readonly T[]): Promise<Durability> {
    if (this.failure !== undefined) throw this.failure
    this.written.push(...values)
    this.onWrite(values)
    return this.durability
  }

  begin(): TopicBatch<T> {
    return batchOf((values) => this.write(values))
  }
}

/** An application over fakes, and the fakes. */
export interface TestApp {
  readonly app: GatewayApp
  readonly events: FakeWriter<Event>
  /** In the clear: their records are opened with the keys that were kept. */
  readonly leads: FakeWriter<PlainLead>
  /** The records as they were written. */
  readonly leadRecords: Lead[]
  readonly apiLogs: ApiLog[]
  readonly logLines: string[]
  readonly outcomes: LeadOutcomes
  readonly leadFields: MemoryLeadFields
  readonly liveFields: LiveLeadFields
  readonly view: StatsView
  readonly hub: StatsHub
  readonly accounts: MemoryAccounts
  readonly credentials: Credentials
  /** The `authorization` header of an account with this role. */
  bearer(role: Role, change?: Record<string, unknown>): string
  close(): Promise<void>
}

/** Builds an application whose every dependency is in memory. `change` replaces dependencies. */
export async function openTestApp(
  change: Partial<GatewayDeps> = {},
  prepare: (app: GatewayApp) => void = () => {},
): Promise<TestApp> {
  const events = new FakeWriter<Event>()
  const leads = new FakeWriter<PlainLead>()
  const leadRecords: Lead[] = []
  const apiLogs: ApiLog[] = []
  const logLines: string[] = []
  const outcomes = new LeadOutcomes()
  const view = new StatsView()
  const hub = new StatsHub()
  hub.restart([0, 0])
  view.caughtUp = true
  const accounts = new MemoryAccounts(change.nowMs ?? (() => Date.now()))
  const metrics = createMetrics({ service: 'gateway-test', processMetrics: false })
  const well: Check = { name: 'kafka', run: () => {} }

  const logger = createLogger({ service: 'gateway-test', level: 'info', destination: collect(logLines) })
  const leadFields = new MemoryLeadFields()
  const liveFields = new LiveLeadFields({ store: leadFields, logger, nowMs: change.nowMs ?? Date.now })
  await liveFields.refresh()
  const keys = new MemoryLeadKeys()
  const leadSealer = new LeadSealer({ trees: keys, leadKey: keys.leadKey, logger, pause: async () => {} })
  await leadSealer.begin(1_000)
  const leadWriter = openingWriter(leads, leadRecords, keys)

  const app = await buildApp({
    logger,
    version: '0.0.0-test',
    nowMs: () => Date.now(),
    token: { secret, ttlSeconds: 900, sessionTtlSeconds: 86_400 },
    corsOrigins: [],
    rateLimitPerMinute: 100_000,
    consoleDirectory: '/nonexistent',
    metrics: createGatewayMetrics(metrics),
    apiLog: { add: (entry) => apiLogs.push(entry) },
    accounts,
    events: intakeOf(events),
    eventStore: {
      page: async () => ({ events: [], nextCursor: null }),
      receipts: async () => [],
      storedSince: async () => [],
    },
    leads: leadWriter,
    leadsNow: leadWriter,
    leadSealer,
    leadStore: {
      list: async () => ({ leads: [], total: 0, totalIsExact: true, nextCursor: null }),
      byId: async () => undefined,
      historyOf: async () => [],
    },
    leadPrivacy: { erase: async () => undefined, exportPerson: async () => undefined },
    leadFieldStore: leadFields,
    leadFields: liveFields,
    leadOutcomes: outcomes,
    leadOutcomesAreFollowed: () => true,
    leadOutcomeTimeoutMs: 50,
    // A busy machine must not make a test fail.
    eventLoopDelayMsMax: 0,
    stats: createStatsReader(view, { range: async () => [] }),
    statsHub: hub,
    statsAreFollowed: () => true,
    operations: new MemoryOperations(),
    checks: [well],
    readiness: [well],
    ...change,
  })
  prepare(app)
  await app.ready()

  return {
    app,
    events,
    leads,
    leadRecords,
    apiLogs,
    logLines,
    outcomes,
    leadFields,
    liveFields,
    view,
    hub,
    accounts,
    credentials: app.credentials,
    bearer: (role, claims = {}) => `Bearer ${signToken({ app, accounts }, role, claims)}`,
    async close() {
      liveFields.close()
      await app.close()
    },
  }
}

/** A token as the login signs it, of a session of its own, with some claims replaced. */
export function signToken(
  { app, accounts }: Pick<TestApp, 'app' | 'accounts'>,
  role: Role,
  change: Record<string, unknown> = {},
): string {
  const iat = Math.floor(Date.now() / 1_000)
  const id = randomUUID()
  const userId = `id-of-${role}`
  accounts.addSession({ id, userId, username: role, role, expiresAtMs: (iat + 86_400) * 1_000 })
  const claims = { sub: userId, username: role, role, sid: id, jti: 'j', iat, exp: iat + 900, ...change }
  return app.jwt.sign(claims)
}

/** Opens the records of leads, and hands the leads on. */
function openingWriter(leads: FakeWriter<PlainLead>, records: Lead[], keys: MemoryLeadKeys): TopicWriter<Lead> {
  function write(values: readonly Lead[]): Promise<Durability> {
    records.push(...values)
    return leads.write(values.map((lead) => keys.open(lead)))
  }
  return { write, begin: () => batchOf(write) }
}

/** A batch that is kept until it is written. */
function batchOf<T>(write: (values: readonly T[]) => Promise<Durability>): TopicBatch<T> {
  const values: T[] = []
  return {
    add: (value) => values.push(value),
    write: async () => (values.length === 0 ? 'kafka' : await write(values)),
  }
}

/** Decodes the records of events, and hands the events on. */
function intakeOf(events: FakeWriter<Event>): EventIntake {
  const codec = createCodec('event', 1)
  const topic = { topic: 'events', partitions: 2, schemaId: codec.schemaId, partitionOf: partitionOfKey }
  const send: EventIntake['sender']['send'] = (records) =>
    events.write(records.map(({ value }) => ({ ...codec.decode(value ?? Buffer.alloc(0)) })))
  return { topic, sender: { send } }
}

function collect(lines: string[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
}
