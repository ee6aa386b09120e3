import { resolve } from 'node:path'
import {
  type EnvConfig,
  type Environment,
  envAddresses,
  envBool,
  envEnum,
  envInt,
  envOptional,
  envPort,
  envString,
  envUrl,
  logLevels,
  readEnv,
} from '@millrace/kit'
import { statsIntervals } from '@millrace/schemas'

const hourMs = 3_600_000

const spec = {
  env: envEnum('MILLRACE_ENV', ['development', 'production'], { default: 'production' }),
  logLevel: envEnum('MILLRACE_LOG_LEVEL', logLevels, { default: 'info' }),
  brokers: envAddresses('MILLRACE_KAFKA_BROKERS', { default: '127.0.0.1:9092' }),
  registryUrl: envUrl('MILLRACE_REGISTRY_URL', { default: 'http://127.0.0.1:8081/apis/ccompat/v7' }),
  healthHost: envString('MILLRACE_HEALTH_HOST', { default: '127.0.0.1' }),
  healthPort: envPort('MILLRACE_HEALTH_PORT', { default: 8090 }),
  /** Where the group's other processors ask this one for its rows; what the health server listens on when absent. */
  queryEndpoint: envOptional(envUrl('MILLRACE_QUERY_ENDPOINT')),
  /** Below it, one directory per application id: of one process at a time. */
  stateDir: envString('MILLRACE_STATE_DIR', { default: './.millrace/state' }),
  /** The group, and the first part of the names of changelog and repartition topics: another one begins from nothing. */
  applicationId: envString('MILLRACE_APPLICATION_ID', {
    default: 'millrace-processor',
    pattern: /^[a-zA-Z0-9._-]{1,200}$/,
  }),
  /** Where results go: another topic for a processor that computes history anew beside the one that runs. It must exist. */
  statsTopic: envString('MILLRACE_STATS_TOPIC', { default: 'stats', pattern: /^[a-zA-Z0-9._-]{1,249}$/ }),
  guarantee: envEnum('MILLRACE_PROCESSING_GUARANTEE', ['exactly_once', 'at_least_once'], { default: 'exactly_once' }),
  /** Subscribers see a result at most about this much later. */
  commitIntervalMs: envInt('MILLRACE_COMMIT_INTERVAL_MS', { default: 100, min: 10, max: 60_000 }),
  /** A window is final when nothing has arrived for it for this long after its end. */
  graceMs: envInt('MILLRACE_GRACE_MS', { default: 60_000, min: 0, max: 7 * 24 * hourMs }),
  /** A window is kept for this long after its last event has arrived, and takes more until then. */
  retentionMs: envInt('MILLRACE_RETENTION_MS', { default: 7 * 24 * hourMs, min: hourMs, max: 366 * 24 * hourMs }),
  /** A partition without events for this long no longer holds up the closing of windows. */
  idleMs: envInt('MILLRACE_IDLE_MS', { default: 5_000, min: 100, max: hourMs }),
  /** A process that is silent for this long loses its partitions to the others; the broker refuses less than 6,000. */
  sessionTimeoutMs: envInt('MILLRACE_SESSION_TIMEOUT_MS', { default: 10_000, min: 1_000, max: 300_000 }),
  /**
   * True: a process that is asked to stop stays a member of the group, and has its partitions back when it returns within the session timeout; until
   * then nobody processes them. Else it leaves, and others take over at once.
   */
  restartGrace: envBool('MILLRACE_RESTART_GRACE', { default: false }),
  /** Other processes that keep a copy of each partition's state up to date, to take over without a restore. */
  standbys: envInt('MILLRACE_STANDBYS', { default: 0, min: 0, max: 10 }),
  /** State of partitions that others process is deleted after this long. */
  stateCleanupDelayMs: envInt('MILLRACE_STATE_CLEANUP_DELAY_MS', { default: 600_000, min: 0, max: 30 * 24 * hourMs }),
  /** Of the changelog and repartition topics; −1: what the broker is configured with. */
  replicationFactor: envInt('MILLRACE_TOPIC_REPLICATION', { default: -1, min: -1, max: 15 }),
  /** Memory for rows, besides RocksDB's own. */
  stateMemoryMib: envInt('MILLRACE_STATE_MEMORY_MIB', { default: 256, min: 16, max: 16_384 }),
}

/** What the processor reads from the environment. */
export type ProcessorConfig = EnvConfig<typeof spec> & { readonly stateDirectory: string }

/** Reads the environment. Throws `INVALID_CONFIG` with every problem. */
export function processorConfig(env: Environment): ProcessorConfig {
  const config = readEnv(spec, env, ({ commitIntervalMs, sessionTimeoutMs, graceMs, retentionMs }) => {
    const problems: string[] = []
    if (commitIntervalMs >= sessionTimeoutMs) {
      problems.push(
        `MILLRACE_COMMIT_INTERVAL_MS (${commitIntervalMs}) must be below MILLRACE_SESSION_TIMEOUT_MS (${sessionTimeoutMs})`,
      )
    }
    const retentionMsMin = Math.max(...Object.values(statsIntervals)) + graceMs
    if (retentionMs < retentionMsMin) {
      problems.push(
        `MILLRACE_RETENTION_MS (${retentionMs}) must be at least the longest interval and MILLRACE_GRACE_MS together (${retentionMsMin})`,
      )
    }
    return problems
  })
  return Object.freeze({ ...config, stateDirectory: resolve(config.stateDir, config.applicationId) })
}

/**
 * The endpoint that others are told: the one configured, else that of the health server at `url`; undefined when that listens on every
 * interface, none of which is known to be reachable.
 */
export function advertisedEndpoint(
  { queryEndpoint, healthHost }: Pick<ProcessorConfig, 'queryEndpoint' | 'healthHost'>,
  url: string,
): string | undefined {
  if (queryEndpoint !== undefined) return queryEndpoint
  return healthHost === '0.0.0.0' || healthHost === '::' ? undefined : url
}
