import { type Logger, waitFor } from '@millrace/kit'
import {
  type Event,
  type EventStats,
  openRegistry,
  type RecordCodec,
  type Registry,
  SchemaError,
} from '@millrace/schemas'
import { type ByteStoreProvider, hasCode, type Serde, storeNames, type Topology } from '@millrace/streams'
import { openRocksDbStores } from '@millrace/streams/rocksdb'
import type { ProcessorConfig } from './config.ts'
import { countedEvents } from './counted-event.ts'
import { buildTopology } from './topology.ts'

/** A process that is stopping holds the state directory for at most its closing deadline. */
const lockWaitMs = 15_000

const mebibyte = 1024 * 1024

/** The statistics program, with the schemas that it reads and writes. */
export interface Program {
  readonly topology: Topology
  readonly events: RecordCodec<Event>
  readonly registry: Registry
}

interface Waiting {
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** The program as it is configured, once the schema registry has its schemas. Throws as `waitFor`. */
export async function openProgram(
  config: Pick<ProcessorConfig, 'registryUrl' | 'graceMs' | 'retentionMs' | 'statsTopic'>,
  waiting: Waiting,
): Promise<Program> {
  const registry = openRegistry(config.registryUrl)
  const [events, stats] = await waitFor(
    'The schema registry',
    async () => [await registry.codecFor('events', 'event'), await registry.codecFor('stats', 'event-stats')] as const,
    { ...waiting, isRetryable: (error) => error instanceof SchemaError && isPassing(error) },
  )
  const { graceMs, retentionMs, statsTopic } = config
  const topology = buildTopology({
    events: countedEvents(events),
    stats: statsSerde(stats),
    graceMs,
    retentionMs,
    statsTopic,
  })
  return { topology, events, registry }
}

/** The program's state on the disk, once no other process has it. Throws as `waitFor`, and what the disk throws. */
export function openState(
  { topology }: Pick<Program, 'topology'>,
  { stateDirectory: directory }: Pick<ProcessorConfig, 'stateDirectory'>,
  waiting: Waiting,
): Promise<ByteStoreProvider> {
  return waitFor(
    'The state directory',
    () => openRocksDbStores({ directory, stores: storeNames(topology), logger: waiting.logger }),
    { ...waiting, deadlineMs: lockWaitMs, isRetryable: (error) => hasCode(error, 'STORE_LOCKED') },
  )
}

/** How the engine is to run, as it is configured. */
export function settingsOf(config: ProcessorConfig) {
  const { applicationId, guarantee, commitIntervalMs, idleMs, sessionTimeoutMs, replicationFactor } = config
  const { stateCleanupDelayMs, stateMemoryMib } = config
  return {
    applicationId,
    guarantee,
    commitIntervalMs,
    idleMs,
    sessionTimeoutMs,
    replicationFactor,
    stateCleanupDelayMs,
    stateBytesMax: stateMemoryMib * mebibyte,
  }
}

/** What is not registered yet is registered by whoever provisions the topics. */
function isPassing(error: SchemaError): boolean {
  return error.retryable || error.code === 'NOT_REGISTERED'
}

function statsSerde(codec: RecordCodec<EventStats>): Serde<EventStats> {
  return {
    read: (bytes, start, end) => codec.decode(bytes.subarray(start, end)),
    write: (stats) => codec.encode(stats),
  }
}
