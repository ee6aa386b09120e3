import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ClickHouseOptions } from '@millrace/storage/clickhouse'

/** A variable that names a real server; a test fails without it instead of passing unseen. */
export function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set: these tests need the real servers (npm test starts them)`)
  }
  return value
}

/** ClickHouse as the variables say. */
export function clickHouseOptionsOfTests(): ClickHouseOptions {
  return {
    url: required('MILLRACE_CLICKHOUSE_URL'),
    user: required('MILLRACE_CLICKHOUSE_USER'),
    password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
    database: required('MILLRACE_CLICKHOUSE_DATABASE'),
  }
}

/** Kafka's brokers as the variables say. */
export function brokersOfTests(): readonly string[] {
  return required('MILLRACE_KAFKA_BROKERS').split(',')
}

/** A name that no other test and no earlier run has. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`
}

/** Asks again and again until `probe` gives something; throws with `what` after 60 s. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const startedMs = performance.now()
  for (;;) {
    const found = await probe()
    if (found !== undefined && found !== false) return found
    if (performance.now() - startedMs > 60_000) throw new Error(`waited in vain for ${what}`)
    await delay(50)
  }
}
