import {
  type EnvConfig,
  type Environment,
  envAddresses,
  envInt,
  envOptional,
  envPort,
  envSecret,
  envString,
  envUrl,
  readEnv,
} from '@millrace/kit'
import { retentionDaysMax } from '@millrace/storage/clickhouse'
import { type LeadKey, leadKeyFault, readLeadKey } from '@millrace/storage/sealing'

const provisionSpec = {
  brokers: envAddresses('MILLRACE_KAFKA_BROKERS', { default: '127.0.0.1:9092' }),
  registryUrl: envUrl('MILLRACE_REGISTRY_URL', { default: 'http://127.0.0.1:8081/apis/ccompat/v7' }),
  /** Partitions of every topic but the dead letters; the catalogue's numbers when not set. */
  partitions: envOptional(envInt('MILLRACE_TOPIC_PARTITIONS', { min: 1, max: 10_000 })),
  /** Three on a real cluster; the development servers are one broker. */
  replicationFactor: envInt('MILLRACE_TOPIC_REPLICATION', { default: 3, min: 1, max: 15 }),
}

/** What `millrace provision` reads from the environment. */
export type ProvisionConfig = EnvConfig<typeof provisionSpec>

/** Reads the environment of `millrace provision`. Throws `INVALID_CONFIG` with every problem. */
export function provisionConfig(env: Environment): ProvisionConfig {
  return readEnv(provisionSpec, env)
}

const kafkaSpec = { brokers: provisionSpec.brokers }

/** Where Kafka is, for the commands about dead letters. */
export type KafkaConfig = EnvConfig<typeof kafkaSpec>

/** Reads where Kafka is. Throws `INVALID_CONFIG` with every problem. */
export function kafkaConfig(env: Environment): KafkaConfig {
  return readEnv(kafkaSpec, env)
}

const mysqlSpec = {
  host: envString('MILLRACE_MYSQL_HOST', { default: '127.0.0.1' }),
  port: envPort('MILLRACE_MYSQL_PORT', { default: 3306 }),
  user: envString('MILLRACE_MYSQL_USER', { default: 'millrace' }),
  password: envSecret('MILLRACE_MYSQL_PASSWORD'),
  database: envString('MILLRACE_MYSQL_DATABASE', { default: 'millrace' }),
}

/** Where MySQL is, for the commands about accounts. */
export type MysqlConfig = EnvConfig<typeof mysqlSpec>

/** Reads where MySQL is. Throws `INVALID_CONFIG` with every problem. */
export function mysqlConfig(env: Environment): MysqlConfig {
  return readEnv(mysqlSpec, env)
}

const leadKeySpec = { leadKey: envOptional(envSecret('MILLRACE_LEAD_KEY')) }

/** Reads the master key of leads, which `migrate` needs where leads of an earlier version are to be sealed. Throws `INVALID_CONFIG`. */
export function leadKeyOf(env: Environment): LeadKey | undefined {
  const { leadKey } = readEnv(leadKeySpec, env, ({ leadKey: text }) => {
    const fault = text === undefined ? undefined : leadKeyFault(text)
    return fault === undefined ? [] : [`MILLRACE_LEAD_KEY ${fault}`]
  })
  return leadKey === undefined ? undefined : readLeadKey(leadKey)
}

const clickHouseSpec = {
  url: envUrl('MILLRACE_CLICKHOUSE_URL', { default: 'http://127.0.0.1:8123' }),
  user: envString('MILLRACE_CLICKHOUSE_USER', { default: 'millrace' }),
  password: envSecret('MILLRACE_CLICKHOUSE_PASSWORD'),
  database: envString('MILLRACE_CLICKHOUSE_DATABASE', { default: 'millrace' }),
  /** What `migrate` sets; as it is when absent. */
  eventsRetentionDays: envOptional(envInt('MILLRACE_EVENTS_RETENTION_DAYS', { min: 0, max: retentionDaysMax })),
}

/** Where ClickHouse is, for the commands about what is stored. */
export type ClickHouseConfig = EnvConfig<typeof clickHouseSpec>

/** Reads where ClickHouse is. Throws `INVALID_CONFIG` with every problem. */
export function clickHouseConfig(env: Environment): ClickHouseConfig {
  return readEnv(clickHouseSpec, env)
}

const groupName = /^[A-Za-z0-9._-]+$/

const consumersSpec = {
  processor: envString('MILLRACE_APPLICATION_ID', { default: 'millrace-processor', pattern: groupName }),
  sinkClickHouse: envString('MILLRACE_SINK_CLICKHOUSE_GROUP', { default: 'sink-clickhouse', pattern: groupName }),
  sinkMysql: envString('MILLRACE_SINK_MYSQL_GROUP', { default: 'sink-mysql', pattern: groupName }),
}

/** The names under which the services read. */
export type ConsumersConfig = EnvConfig<typeof consumersSpec>

/** Reads the names under which the services read: the same variables as theirs. Throws `INVALID_CONFIG` with every problem. */
export function consumersConfig(env: Environment): ConsumersConfig {
  return readEnv(consumersSpec, env)
}

const registrySpec = { registryUrl: provisionSpec.registryUrl }

/** Reads where the schema registry is. Throws `INVALID_CONFIG` with every problem. */
export function registryConfig(env: Environment): EnvConfig<typeof registrySpec> {
  return readEnv(registrySpec, env)
}
