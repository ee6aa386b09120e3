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
import { isGuessableLeadKey, leadKeyFault } from '@millrace/storage/sealing'
import {
  apiLogBatchAgeMaxMs,
  apiLogRetentionDaysDefault,
  apiLogRetentionDaysMax,
  leadDuplicateWindowSecondsDefault,
  leadDuplicateWindowSecondsMax,
} from './limits.ts'

const name = /^[A-Za-z0-9._-]+$/

const spec = {
  environment: envEnum('MILLRACE_ENV', ['development', 'production'], { default: 'production' }),
  logLevel: envEnum('MILLRACE_LOG_LEVEL', logLevels, { default: 'info' }),
  brokers: envAddresses('MILLRACE_KAFKA_BROKERS', { default: '127.0.0.1:9092' }),
  registryUrl: envUrl('MILLRACE_REGISTRY_URL', { default: 'http://127.0.0.1:8081/apis/ccompat/v7' }),
  mysqlHost: envString('MILLRACE_MYSQL_HOST', { default: '127.0.0.1' }),
  mysqlPort: envPort('MILLRACE_MYSQL_PORT', { default: 3306 }),
  mysqlUser: envString('MILLRACE_MYSQL_USER', { default: 'millrace', pattern: name }),
  mysqlPassword: envSecret('MILLRACE_MYSQL_PASSWORD'),
  mysqlDatabase: envString('MILLRACE_MYSQL_DATABASE', { default: 'millrace', pattern: name }),
  /** That of the gateways: opens what leads are found by. 32 bytes in base64. */
  leadKey: envSecret('MILLRACE_LEAD_KEY'),
  healthHost: envString('MILLRACE_HEALTH_HOST', { default: '127.0.0.1' }),
  healthPort: envPort('MILLRACE_HEALTH_PORT', { default: 8092 }),
  /** Groups are `<prefix>-leads` and `<prefix>-api-logs`; they also name the rows of `sink_offsets`. */
  groupPrefix: envString('MILLRACE_SINK_MYSQL_GROUP', { default: 'sink-mysql', pattern: name, lengthMax: 100 }),
  /** A name of this process within its groups, of one process at a time: coming back under it within 10 s, it has its partitions again at once. */
  groupInstanceId: envOptional(envString('MILLRACE_SINK_MYSQL_INSTANCE_ID', { pattern: name, lengthMax: 100 })),
  /** A lead of the same person and source within this time of the first is flagged as its duplicate; 0: none is. */
  leadDuplicateWindowSeconds: envInt('MILLRACE_LEAD_DUPLICATE_WINDOW_S', {
    default: leadDuplicateWindowSecondsDefault,
    min: 0,
    max: leadDuplicateWindowSecondsMax,
  }),
  apiLogBatchAgeMaxMs: envInt('MILLRACE_SINK_MYSQL_API_LOG_MS', { default: apiLogBatchAgeMaxMs, min: 0, max: 60_000 }),
  /** Whole days that the API's log is kept for, both tables. */
  apiLogRetentionDays: envInt('MILLRACE_API_LOGS_RETENTION_DAYS', {
    default: apiLogRetentionDaysDefault,
    min: 1,
    max: apiLogRetentionDaysMax,
  }),
  /** How long servers that are away are waited for at the start. */
  startDeadlineMs: envInt('MILLRACE_START_DEADLINE_MS', { default: 120_000, min: 1_000, max: 3_600_000 }),
}

/** The configuration of this service. */
export type Config = EnvConfig<typeof spec>

/** Reads the environment. Throws `INVALID_CONFIG` with every problem. */
export function readConfig(env: Environment): Config {
  return readEnv(spec, env, ({ environment, leadKey }) => {
    const fault = leadKeyFault(leadKey)
    if (fault !== undefined) return [`MILLRACE_LEAD_KEY ${fault}`]
    return environment !== 'development' && isGuessableLeadKey(leadKey)
      ? ['MILLRACE_LEAD_KEY must be random: make one with: openssl rand -base64 32']
      : []
  })
}
