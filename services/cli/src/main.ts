#!/usr/bin/env node
import { createLogger, runMain, waitFor } from '@millrace/kit'
import { openRegistry, SchemaError, topics } from '@millrace/schemas'
import { connectKafka } from '@millrace/streams/kafka'
import { provisionConfig } from './config.ts'
import { provision } from './provision.ts'

const usage = `Usage: millrace COMMAND

Commands:
  provision   create the topics that are missing and register the schemas; safe to repeat
              (MILLRACE_KAFKA_BROKERS, MILLRACE_REGISTRY_URL, MILLRACE_TOPIC_PARTITIONS, MILLRACE_TOPIC_REPLICATION)
`

runMain(async () => {
  const [command, ...rest] = process.argv.slice(2)
  if (command === 'provision' && rest.length === 0) return await runProvision()
  if (command === undefined || command === '--help' || command === '-h') {
    process.stdout.write(usage)
    return
  }
  process.stderr.write(`millrace: unknown command "${[command, ...rest].join(' ')}"\n\n${usage}`)
  process.exitCode = 2
})

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
