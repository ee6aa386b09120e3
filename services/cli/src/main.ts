#!/usr/bin/env node
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createLogger, runMain, waitFor } from '@millrace/kit'
import { openReconciler } from '@millrace/operations'
import { openRegistry, SchemaError, topics } from '@millrace/schemas'
import { clickHouseMigrationTarget, openClickHouse } from '@millrace/storage/clickhouse'
import {
  createApiKeyRepository,
  createAuditRepository,
  createUserRepository,
  type MigrationTarget,
  type Mysql,
  mysqlMigrationTarget,
  openMysql,
  StorageError,
} from '@millrace/storage/mysql'
import { connectKafka } from '@millrace/streams/kafka'
import { runAudit } from './audit.ts'
import { CommandError } from './command-error.ts'
import {
  clickHouseConfig,
  consumersConfig,
  kafkaConfig,
  leadKeyOf,
  mysqlConfig,
  provisionConfig,
  registryConfig,
} from './config.ts'
import { runDlq } from './dead-letters/dlq.ts'
import { runKeys } from './keys.ts'
import { runMigrate } from './migrate.ts'
import { readPasswordFrom } from './password-input.ts'
import { provision } from './provision.ts'
import { runReconcile } from './reconcile.ts'
import { type ReplayProgram, runReplay } from './replay.ts'
import { runUsers } from './users.ts'

const usage = `Usage: millrace COMMAND

Commands:
  provision                    create the topics that are missing and register the schemas; safe to repeat
                               (MILLRACE_KAFKA_BROKERS, MILLRACE_REGISTRY_URL, MILLRACE_TOPIC_PARTITIONS, MILLRACE_TOPIC_REPLICATION)
  migrate [mysql|clickhouse] [--dry-run]
                               bring the databases to this version, or tell what they have; safe to repeat
                               (MILLRACE_MYSQL_*, MILLRACE_CLICKHOUSE_URL, _USER, _PASSWORD, _DATABASE)

Dead letters (MILLRACE_KAFKA_BROKERS): records that could not be stored, by the topic that they came from
  dlq list TOPIC [--all]       dlq show TOPIC OFFSET
  dlq replay TOPIC [--offset N,…] [--reason CODE] [--dry-run]
                               put records back where they came from, each once however often this is repeated

Whether everything has arrived (all of the above, and the registry):
  reconcile [--from TIME] [--to TIME] [--topic events|leads|api-logs] [--bound SECONDS] [--json]
                               compare what was acknowledged, what is in Kafka and what is stored; the last hour unless told
                               otherwise; exit code 1 when something older than the bound (300 s) is not where it should be
  replay --topic events|stats --from TIME [--to TIME] --into-table NAME
                               read a range of a topic again, into a new table beside the running sinks; safe to repeat
  replay --topic events --from TIME [--to TIME] --application-id ID [--into-topic NAME]
                               compute the statistics of a range anew, into a topic of their own (stats.ID), beside the running
                               processors; goes on where it was when it is repeated (MILLRACE_STATE_DIR and the processor's others)

Accounts (MILLRACE_MYSQL_HOST, _PORT, _USER, _PASSWORD, _DATABASE; passwords of accounts come on standard input):
  users list
  users create NAME --role admin|user|analyst|producer
  users password NAME          users role NAME ROLE          users disable NAME          users enable NAME
  keys create USER --scopes SCOPE,… [--label TEXT] [--days N]
                               make an API key, print it once; it acts for USER, for 365 days unless told otherwise
  keys list [USER]             keys revoke ID
  audit verify                 recompute the chain of the audit log
`

const print = (line: string) => void process.stdout.write(`${line}\n`)
const tell = (line: string) => void process.stderr.write(`${line}\n`)

runMain(async () => {
  try {
    await run(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    tell(`millrace: ${error.message}${error.code === 'USAGE' ? `\n\n${usage}` : ''}`)
    process.exitCode = error.exitCode
  }
})

async function run(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args
  if (command === undefined || command === '--help' || command === '-h') {
    process.stdout.write(usage)
    return
  }
  if (command === 'provision' && rest.length === 0) return await runProvision()
  if (command === 'migrate') return await migrate(rest)
  if (command === 'dlq') {
    const broker = connectKafka({ brokers: kafkaConfig(process.env).brokers, clientId: 'millrace-dlq' })
    const all = new Set<string>(topics.map(({ name }) => name))
    const withLetters = [...all].filter((name) => all.has(`${name}.dlq`))
    return await runDlq(rest, { broker, topics: withLetters, print, tell })
  }
  if (command === 'reconcile') return await withMysql((mysql) => reconcile(rest, mysql))
  if (command === 'replay') {
    process.exitCode = await runReplay(rest, { run: runProgram, nowMs: Date.now })
    return
  }
  if (command === 'users') {
    const readPassword = () => readPasswordFrom(process.stdin)
    return await withMysql((mysql) => runUsers(rest, { users: createUserRepository(mysql), readPassword, print, tell }))
  }
  if (command === 'keys') {
    return await withMysql((mysql) => {
      const deps = { keys: createApiKeyRepository(mysql), users: createUserRepository(mysql) }
      return runKeys(rest, { ...deps, nowMs: Date.now, print, tell })
    })
  }
  if (command === 'audit') {
    return await withMysql((mysql) => runAudit(rest, { audit: createAuditRepository(mysql), print }))
  }
  throw new CommandError('USAGE', `unknown command "${args.join(' ')}"`)
}

async function withMysql(work: (mysql: Mysql) => Promise<void>): Promise<void> {
  const mysql = openMysql({ ...mysqlConfig(process.env), connectionsMax: 1 })
  try {
    await work(mysql)
  } finally {
    await mysql.close()
  }
}

/** The program of a service, whose code it works with: services do not import each other. */
async function runProgram(service: ReplayProgram, args: readonly string[]): Promise<number> {
  const program = fileURLToPath(new URL(`../../${service}/src/replay-main.ts`, import.meta.url))
  const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' })
  // Ctrl-C reaches both, SIGTERM this one only. It is for the program to end what it began.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const [code, signal]: readonly (number | NodeJS.Signals | null)[] = await once(child, 'exit')
  // As a shell says it of a program that a signal has ended.
  return typeof signal === 'string' ? 128 + constants.signals[signal] : Number(code)
}

async function reconcile(args: readonly string[], mysql: Mysql): Promise<void> {
  const clickHouse = openClickHouse(clickHouseConfig(process.env))
  try {
    const reconciler = await openReconciler({
      broker: connectKafka({ brokers: kafkaConfig(process.env).brokers, clientId: 'millrace-reconcile' }),
      registry: openRegistry(registryConfig(process.env).registryUrl),
      clickHouse,
      mysql,
      names: consumersConfig(process.env),
      nowMs: Date.now,
    })
    await runReconcile(args, { reconciler, nowMs: Date.now, print, tell })
  } finally {
    await clickHouse.close()
  }
}

async function migrate(args: readonly string[]): Promise<void> {
  const logger = createLogger({ service: 'migrate', level: 'warn' })
  const isRetryable = (error: unknown) => error instanceof StorageError && error.retryable
  const databases = {
    mysql: () => mysqlMigrationTarget({ ...mysqlConfig(process.env), leadKey: leadKeyOf(process.env) }),
    clickhouse: () => clickHouseMigrationTarget(clickHouseConfig(process.env)),
  }
  const ready = async (target: MigrationTarget) => {
    await waitFor(target.name, () => target.ping(), { logger, isRetryable })
  }
  await runMigrate(args, { databases, ready, print, tell })
}

async function runProvision(): Promise<void> {
  const config = provisionConfig(process.env)
  const logger = createLogger({ service: 'provision', level: 'warn' })
  const admin = await waitFor(
    'Kafka',
    () => connectKafka({ brokers: config.brokers, clientId: 'millrace-provision' }).openAdmin(),
    { logger },
  )
  try {
    const registry = openRegistry(config.registryUrl)
    const retryable = (error: unknown) => error instanceof SchemaError && error.retryable
    const registrar = {
      registerAll: () =>
        waitFor('The schema registry', () => registry.registerAll(), { logger, isRetryable: retryable }),
    }
    const { partitions, replicationFactor } = config
    const report = await provision(admin, registrar, {
      topics,
      replicationFactor,
      ...(partitions === undefined ? {} : { partitions }),
    })
    for (const name of report.createdTopics) process.stdout.write(`created topic ${name}\n`)
    for (const difference of report.differences) process.stdout.write(`left as it is: ${difference}\n`)
    for (const [name, id] of report.schemaIds) process.stdout.write(`schema of ${name}: id ${id}\n`)
  } finally {
    await admin.close()
  }
}
