import { fileURLToPath } from 'node:url'
import {
  type Environment,
  envAddresses,
  envEnum,
  envInt,
  envList,
  envNetworks,
  envOptional,
  envPort,
  envSecret,
  envString,
  envUrl,
  logLevels,
  readEnv,
} from '@millrace/kit'
import { isGuessableLeadKey, leadKeyFault } from '@millrace/storage/sealing'
import { corsOriginsMax, jwtSecretBytesMin } from './limits.ts'

const environments = ['development', 'production'] as const

const mysql = {
  mysqlHost: envString('MILLRACE_MYSQL_HOST', { default: '127.0.0.1' }),
  mysqlPort: envPort('MILLRACE_MYSQL_PORT', { default: 3306 }),
  mysqlUser: envString('MILLRACE_MYSQL_USER', { default: 'millrace' }),
  mysqlPassword: envSecret('MILLRACE_MYSQL_PASSWORD'),
  mysqlDatabase: envString('MILLRACE_MYSQL_DATABASE', { default: 'millrace' }),
}

const groupName = /^[A-Za-z0-9._-]+$/

const gateway = {
  environment: envEnum('MILLRACE_ENV', environments, { default: 'production' }),
  logLevel: envEnum('MILLRACE_LOG_LEVEL', logLevels, { default: 'info' }),
  httpHost: envString('MILLRACE_HTTP_HOST', { default: '127.0.0.1' }),
  httpPort: envPort('MILLRACE_HTTP_PORT', { default: 8080 }),
  kafkaBrokers: envAddresses('MILLRACE_KAFKA_BROKERS', { default: '127.0.0.1:9092' }),
  /** How long a request waits for Kafka before it is answered with 503. */
  kafkaAckTimeoutMs: envInt('MILLRACE_KAFKA_ACK_TIMEOUT_MS', { default: 10_000, min: 100, max: 60_000 }),
  /** Where requests are kept while Kafka is away; without it they are answered with 503. Of this gateway alone, on a disk that stays. */
  spillDirectory: envOptional(envString('MILLRACE_SPILL_DIR')),
  spillMib: envInt('MILLRACE_SPILL_MIB', { default: 1_024, min: 64, max: 1_048_576 }),
  /** How long a request waits for Kafka before it, and all others, go to the spill log. */
  spillAfterMs: envInt('MILLRACE_SPILL_AFTER_MS', { default: 2_000, min: 100, max: 60_000 }),
  registryUrl: envUrl('MILLRACE_REGISTRY_URL', { default: 'http://127.0.0.1:8081/apis/ccompat/v7' }),
  clickhouseUrl: envUrl('MILLRACE_CLICKHOUSE_URL', { default: 'http://127.0.0.1:8123' }),
  clickhouseUser: envString('MILLRACE_CLICKHOUSE_USER', { default: 'millrace' }),
  clickhousePassword: envSecret('MILLRACE_CLICKHOUSE_PASSWORD'),
  clickhouseDatabase: envString('MILLRACE_CLICKHOUSE_DATABASE', { default: 'millrace' }),
  ...mysql,
  /** Signs the tokens (HS256): RFC 8725 asks for at least as many bits as the hash has. */
  jwtSecret: envSecret('MILLRACE_JWT_SECRET', { bytesMin: jwtSecretBytesMin }),
  /** Wraps the keys of leads, and keys the hashes they are found by; that of the MySQL sink, too. 32 bytes in base64. */
  leadKey: envSecret('MILLRACE_LEAD_KEY'),
  /** Of access tokens. They are refreshed: a short life costs a request now and then. */
  tokenTtlSeconds: envInt('MILLRACE_TOKEN_TTL_S', { default: 900, min: 60, max: 3_600 }),
  /** From one login to the next, however often its tokens are refreshed. */
  sessionTtlSeconds: envInt('MILLRACE_SESSION_TTL_S', { default: 7 * 86_400, min: 3_600, max: 30 * 86_400 }),
  /** Requests of one account per minute. One request may carry 10,000 events. */
  rateLimitPerMinute: envInt('MILLRACE_RATE_LIMIT_PER_MINUTE', { default: 1_000_000, min: 1, max: 100_000_000 }),
  /** Valkey or Redis, where several gateways count together; without it each counts for itself. */
  rateLimitUrl: envOptional(envUrl('MILLRACE_RATE_LIMIT_URL', { protocols: ['redis:', 'rediss:'] })),
  rateLimitUsername: envOptional(envString('MILLRACE_RATE_LIMIT_USERNAME')),
  rateLimitPassword: envOptional(envSecret('MILLRACE_RATE_LIMIT_PASSWORD')),
  /** Of an OTLP/HTTP receiver: spans are kept when it is named. This and the next two are OpenTelemetry's own names. */
  otlpEndpoint: envOptional(envUrl('OTEL_EXPORTER_OTLP_ENDPOINT')),
  otelService: envString('OTEL_SERVICE_NAME', { default: 'millrace-gateway' }),
  /** The part of the traces that begin here which is kept. */
  otelRatio: envString('OTEL_TRACES_SAMPLER_ARG', { default: '1', pattern: /^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/ }),
  /** Pause between two comparisons of what was acknowledged and what is stored; 0: only when somebody asks. One gateway of several is enough. */
  reconciliationSeconds: envInt('MILLRACE_RECONCILIATION_SECONDS', { default: 60, min: 0, max: 86_400 }),
  /** The names under which the services read: their own variables. */
  processorGroup: envString('MILLRACE_APPLICATION_ID', { default: 'millrace-processor', pattern: groupName }),
  sinkClickHouseGroup: envString('MILLRACE_SINK_CLICKHOUSE_GROUP', { default: 'sink-clickhouse', pattern: groupName }),
  sinkMysqlGroup: envString('MILLRACE_SINK_MYSQL_GROUP', { default: 'sink-mysql', pattern: groupName }),
  /** Whose `X-Forwarded-For` is believed; nobody's when absent. */
  trustedProxies: envOptional(envNetworks('MILLRACE_TRUSTED_PROXIES')),
  corsOrigins: envOptional(
    envList('MILLRACE_CORS_ORIGINS', { itemsMax: corsOriginsMax, pattern: /^https?:\/\/[^/\s*]+$/ }),
  ),
  /** How long a synchronous lead waits for its outcome. */
  leadOutcomeTimeoutMs: envInt('MILLRACE_LEAD_OUTCOME_TIMEOUT_MS', { default: 10_000, min: 100, max: 25_000 }),
  consoleDirectory: envString('MILLRACE_CONSOLE_DIR', {
    default: fileURLToPath(new URL('../../console/dist', import.meta.url)),
  }),
}

/** The gateway's configuration, read once and frozen. Throws `INVALID_CONFIG` with every problem. */
export function readGatewayConfig(env: Environment) {
  return readEnv(gateway, env, ({ environment, jwtSecret, leadKey }) => {
    const problems: string[] = []
    const isProduction = environment !== 'development'
    if (isProduction && isGuessable(jwtSecret)) {
      problems.push(
        'MILLRACE_JWT_SECRET must be random: it has words of examples, or too few different characters. Make one with: openssl rand -hex 48',
      )
    }
    const fault = leadKeyFault(leadKey)
    if (fault !== undefined) problems.push(`MILLRACE_LEAD_KEY ${fault}`)
    else if (isProduction && isGuessableLeadKey(leadKey)) {
      problems.push('MILLRACE_LEAD_KEY must be random: make one with: openssl rand -base64 32')
    }
    return problems
  })
}

/** Secrets of examples and of compose files, and one key held down. Random bytes are neither: 32 of them in hex have fewer than ten different digits once in 10¹¹. */
function isGuessable(secret: string): boolean {
  return /development|change-?me|password|example|millrace/i.test(secret) || new Set(secret).size < 10
}

const seed = {
  environment: gateway.environment,
  logLevel: gateway.logLevel,
  httpHost: gateway.httpHost,
  seedAccounts: envString('MILLRACE_SEED_DEV_ACCOUNTS', { default: 'false' }),
  ...mysql,
}

/** The configuration of the command that seeds development accounts. Their passwords are public, so it refuses wherever others could reach them. */
export function readSeedConfig(env: Environment) {
  return readEnv(seed, env, (config) => {
    const problems: string[] = []
    if (config.seedAccounts !== 'true')
      problems.push('MILLRACE_SEED_DEV_ACCOUNTS must be true: seeding must be asked for')
    if (config.environment !== 'development') {
      problems.push('MILLRACE_ENV must be development: these accounts have passwords that everyone knows')
    }
    if (!isLoopback(config.httpHost)) {
      problems.push(
        'MILLRACE_HTTP_HOST must be a loopback address: nobody else may reach accounts with known passwords',
      )
    }
    return problems
  })
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
