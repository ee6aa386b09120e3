import { clickhouseAccount } from './clickhouse.ts'
import type { Ports } from './config.ts'
import type { Folders } from './folders.ts'
import { mysqlAccount } from './mariadb.ts'
import { registryUrl } from './registry.ts'
import type { Secrets } from './secrets.ts'

/** What describes a stack to our services and to tests. */
export interface StackDescription {
  readonly ports: Ports
  readonly secrets: Secrets
  readonly folders: Folders
  readonly logLevel: string
}

/**
 * The environment variables that our services read, for a stack. Services that listen get a port each on top, from
 * `services.ts`; `MILLRACE_GATEWAY_URL` is for tests and other clients.
 */
export function serviceEnvironment({ ports, secrets, folders, logLevel }: StackDescription): Record<string, string> {
  return {
    MILLRACE_ENV: 'development',
    MILLRACE_LOG_LEVEL: logLevel,
    MILLRACE_KAFKA_BROKERS: `127.0.0.1:${ports.kafka}`,
    MILLRACE_TOPIC_REPLICATION: '1',
    MILLRACE_REGISTRY_URL: registryUrl(ports.registry),
    MILLRACE_CLICKHOUSE_URL: `http://127.0.0.1:${ports.clickhouse}`,
    MILLRACE_CLICKHOUSE_USER: clickhouseAccount.user,
    MILLRACE_CLICKHOUSE_PASSWORD: secrets.clickhousePassword,
    MILLRACE_CLICKHOUSE_DATABASE: clickhouseAccount.database,
    MILLRACE_MYSQL_HOST: '127.0.0.1',
    MILLRACE_MYSQL_PORT: String(ports.mysql),
    MILLRACE_MYSQL_USER: mysqlAccount.user,
    MILLRACE_MYSQL_PASSWORD: secrets.mysqlPassword,
    MILLRACE_MYSQL_DATABASE: mysqlAccount.database,
    MILLRACE_HTTP_HOST: '127.0.0.1',
    MILLRACE_HTTP_PORT: String(ports.gateway),
    MILLRACE_GATEWAY_URL: `http://127.0.0.1:${ports.gateway}`,
    MILLRACE_JWT_SECRET: secrets.jwtSecret,
    MILLRACE_LEAD_KEY: Buffer.from(secrets.leadKey, 'hex').toString('base64'),
    MILLRACE_STATE_DIR: folders.state,
    MILLRACE_SEED_DEV_ACCOUNTS: 'true',
  }
}

/** The variables as lines for a POSIX shell. */
export function exportLines(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`)
    .join('\n')
}
