import { isAbort, retry, runMain } from '@millrace/kit'
import { openRegistry, SchemaError } from '@millrace/schemas'
import { openClickHouse, StorageError } from '@millrace/storage/clickhouse'
import { StreamsError } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import type { Producer } from '@millrace/streams/sink'
import { createClickHouseSink } from './clickhouse-sink.ts'
import { readConfig } from './config.ts'
import { SinkError } from './errors.ts'
import { replayAttemptsMax, retryBaseMs, retryMaxMs, spareBuffersMax } from './limits.ts'
import { createReplayTable } from './replay/replay-table.ts'
import { type ReplayProgress, replayIntoTable } from './replay/table-replay.ts'
import { type RecordRoute, routes } from './sinks.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { createWriterSchemas } from './writer-schemas.ts'

// `millrace replay --into-table`, which calls it with TOPIC FROM_MS TO_MS TABLE: reads a range of a topic again, into a table of its own, beside the running sinks and with their code.
runMain(async () => {
  const [topic, from, to, table = ''] = process.argv.slice(2)
  const route = routes.find((one): one is RecordRoute => one.kind === 'records' && one.topic === topic)
  if (route === undefined) return fail(`no topic ${topic} lands in ClickHouse`, 2)
  if (routes.some((one) => one.table === table)) return fail(`table ${table} is in use: name a new one`, 2)
  try {
    process.exitCode = (await replay(route, { fromMs: Number(from), toMs: Number(to), table })) ? 0 : 1
  } catch (error) {
    if (isAbort(error)) return fail('ended before it was done. Run it again: it goes on where it was', 130)
    const isTold = error instanceof StorageError || error instanceof StreamsError || error instanceof SchemaError
    if (!isTold) throw error
    fail(`${error.message}. Run it again: it goes on where it was`, 1)
  }
})

function fail(message: string, exitCode: number): void {
  process.stderr.write(`millrace replay: ${message}\n`)
  process.exitCode = exitCode
}

/** Whether the table has, in the end, everything that can be stored. */
async function replay(
  route: RecordRoute,
  { fromMs, toMs, table: name }: { readonly fromMs: number; readonly toMs: number; readonly table: string },
): Promise<boolean> {
  const { topic } = route
  const config = readConfig(process.env)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const clickHouse = openClickHouse({
    url: config.clickHouseUrl,
    user: config.clickHouseUser,
    password: config.clickHousePassword,
    database: config.clickHouseDatabase,
  })
  try {
    const table = createReplayTable(clickHouse, { table: name, source: route.table, topic, fromMs, toMs })
    await table.prepare()
    const registry = openRegistry(config.registryUrl)
    const codec = await registry.codecFor(route.subject, route.schema)
    let poison = 0
    const options = {
      table: name,
      clickHouse,
      schemas: createWriterSchemas({ registry, topic: route.subject, codec, nowMs: Date.now }),
      producer: noProducer,
      deadLetterTopic: route.deadLetterTopic,
      nowMs: Date.now,
      // Records without a value have no row: counted with those that cannot be stored.
      skipTombstones: false,
      spares: new SpareBuffers(spareBuffersMax),
      onDeadLetters: (_reason: string, count: number) => {
        poison += count
      },
    }
    const broker = connectKafka({ brokers: config.brokers, clientId: 'millrace-replay' })
    const tell = progressTo(topic)
    const done = await replayIntoTable(
      {
        broker,
        sink: createClickHouseSink(options),
        table,
        patiently(work) {
          const before = poison
          return patiently(() => {
            // Each attempt finds the same ones.
            poison = before
            return work()
          }, stop.signal)
        },
        onProgress: tell,
        signal: stop.signal,
      },
      { topic, fromMs, toMs },
    )
    const rows = await table.records()
    const expected = done.records - poison
    process.stdout.write(
      `${done.records} records of ${topic}: ${poison} cannot be stored, ${done.known} were there already; ${name} has ${rows}\n`,
    )
    if (rows === expected) return true
    fail(`${name} should have ${expected} records, and has ${rows}`, 1)
    return false
  } finally {
    await clickHouse.close()
  }
}

/** What cannot be stored is a dead letter since it came first: it does not become one again. */
const noProducer: Producer = { send: async () => [], close: async () => undefined }

/** Repeats what may succeed later, for some minutes. */
function patiently(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  return retry(work, {
    attemptsMax: replayAttemptsMax,
    baseMs: retryBaseMs,
    maxMs: retryMaxMs,
    signal,
    isRetryable: (error) =>
      (error instanceof StorageError || error instanceof SinkError || error instanceof SchemaError) && error.retryable,
    onRetry: ({ error }) => process.stderr.write(`${error instanceof Error ? error.message : error}: trying again\n`),
  })
}

/** One line every two seconds. */
function progressTo(topic: string): (progress: ReplayProgress) => void {
  const startedMs = performance.now()
  let toldMs = startedMs
  return ({ offsets, done, records }) => {
    const nowMs = performance.now()
    if (nowMs - toldMs < 2_000 && done < offsets) return
    toldMs = nowMs
    const perSecond = Math.round(records / Math.max((nowMs - startedMs) / 1_000, 0.001))
    const percent = offsets === 0 ? 100 : Math.floor((done / offsets) * 100)
    process.stderr.write(`${topic}: ${percent} %, ${records} records, ${perSecond}/s\n`)
  }
}
