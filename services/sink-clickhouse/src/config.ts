import {
  type EnvConfig,
  type Environment,
  envAddresses,
  envEnum,
  envInt,
  envOptional,
  envPort,
  envSecret,
  envString,
  envUrl,
  logLevels,
  readEnv,
} from '@millrace/kit'
import { batchAgeMaxMs, batchRowsMax } from './limits.ts'

const name = /^[A-Za-z0-9._-]+$/

const spec = {
  environment: envEnum('MILLRACE_ENV', ['development', 'production'], { default: 'production' }),
  logLevel: envEnum('MILLRACE_LOG_LEVEL', logLevels, { default: 'info' }),
  brokers: envAddresses('MILLRACE_KAFKA_BROKERS', { default: '127.0.0.1:9092' }),
  registryUrl: envUrl('MILLRACE_REGISTRY_URL', { default: 'http://127.0.0.1:8081/apis/ccompat/v7' }),
  clickHouseUrl: envUrl('MILLRACE_CLICKHOUSE_URL', { default: 'http://127.0.0.1:8123' }),
  clickHouseUser: envString('MILLRACE_CLICKHOUSE_USER', { default: 'millrace', pattern: name }),
  clickHousePassword: envSecret('MILLRACE_CLICKHOUSE_PASSWORD'),
  clickHouseDatabase: envString('MILLRACE_CLICKHOUSE_DATABASE', { default: 'millrace', pattern: name }),
  healthHost: envString('MILLRACE_HEALTH_HOST', { default: '127.0.0.1' }),
  healthPort: envPort('MILLRACE_HEALTH_PORT', { default: 8091 }),
  /** Groups are `<prefix>-events` and `<prefix>-stats`. */
  groupPrefix: envString('MILLRACE_SINK_CLICKHOUSE_GROUP', {
    default: 'sink-clickhouse',
    pattern: name,
    lengthMax: 100,
  }),
  /**
   * A name of this process within its groups, of one process at a time: coming back under it within 10 s, it has its partitions again at once, also after a
   * SIGKILL. Without it, partitions of a killed process wait until its session has timed out.
   */
  groupInstanceId: envOptional(envString('MILLRACE_SINK_CLICKHOUSE_INSTANCE_ID', { pattern: name, lengthMax: 100 })),
  batchRowsMax: envInt('MILLRACE_SINK_CLICKHOUSE_BATCH_ROWS', { default: batchRowsMax, min: 1, max: batchRowsMax }),
  batchAgeMaxMs: envInt('MILLRACE_SINK_CLICKHOUSE_BATCH_MS', { default: batchAgeMaxMs, min: 50, max: 60_000 }),
  /** How long servers that are away are waited for at the start. */
  startDeadlineMs: envInt('MILLRACE_START_DEADLINE_MS', { default: 120_000, min: 1_000, max: 3_600_000 }),
}

/** The configuration of this service. */
export type Config = EnvConfig<typeof spec>

/** Reads the environment. Throws `INVALID_CONFIG` with every problem. */
export function readConfig(env: Environment): Config {
  return readEnv(spec, env)
}
