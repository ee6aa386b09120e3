import { rm } from 'node:fs/promises'
import { createLogger, createMetrics, isAbort, runMain } from '@millrace/kit'
import { type ByteStoreProvider, StreamsError } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { processorConfig } from './config.ts'
import { Engine } from './engine.ts'
import { engineMetrics, processorLogFields } from './engine-metrics.ts'
import { openProgram, openState, settingsOf } from './program.ts'
import { replayStatistics, type StatsReplayProgress } from './replay/stats-replay.ts'

// `millrace replay --application-id`, which calls it with FROM_MS TO_MS APPLICATION_ID TOPIC: counts a range of `events` anew, into a topic of its own, beside the running processors and with their program.
runMain(async () => {
  const [from, to, applicationId = '', intoTopic = ''] = process.argv.slice(2)
  const running = processorConfig(process.env)
  if (applicationId === running.applicationId)
    return fail(`${applicationId} is the running processor: name an id of its own`, 2)
  if (intoTopic === running.statsTopic)
    return fail(`${intoTopic} is the running processor's: name a topic of its own`, 2)
  const replayed = { MILLRACE_APPLICATION_ID: applicationId, MILLRACE_STATS_TOPIC: intoTopic }
  const config = processorConfig({ ...process.env, ...replayed })
  try {
    await replay(config, { fromMs: Number(from), toMs: Number(to) })
  } catch (error) {
    if (isAbort(error)) return fail('ended before it was done. Run it again: it goes on where it was', 130)
    if (!(error instanceof StreamsError)) throw error
    fail(error.message, 1)
  }
})

async function replay(
  config: ReturnType<typeof processorConfig>,
  range: { readonly fromMs: number; readonly toMs: number },
): Promise<void> {
  // Progress is told below, and what cannot be read was told of when it came first.
  const logger = createLogger({ service: 'replay', level: 'error', fields: processorLogFields })
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const waiting = { logger, signal: stop.signal }
  const program = await openProgram(config, waiting)
  let stores: ByteStoreProvider | undefined
  const probes = engineMetrics(createMetrics({ service: 'replay' }), logger)
  try {
    const { offsets } = await replayStatistics(
      {
        broker: connectKafka({ brokers: [...config.brokers], clientId: config.applicationId }),
        topology: program.topology,
        applicationId: config.applicationId,
        intoTopic: config.statsTopic,
        replicationFactor: config.replicationFactor,
        // What cannot be read became a dead letter when it came first, and does not again.
        async openEngine(broker) {
          stores ??= await openState(program, config, waiting)
          const settings = settingsOf(config)
          return new Engine({ ...program, broker, stores, logger, probes, unreadable: 'skip', settings })
        },
        onProgress: progressTo(),
        signal: stop.signal,
      },
      range,
    )
    process.stdout.write(`${offsets} offsets of events: their statistics are in ${config.statsTopic}\n`)
  } finally {
    await stores?.close()
  }
  await rm(config.stateDirectory, { recursive: true })
}

function fail(message: string, exitCode: number): void {
  process.stderr.write(`millrace replay: ${message}\n`)
  process.exitCode = exitCode
}

/** One line every two seconds. */
function progressTo(): (progress: StatsReplayProgress) => void {
  let toldMs = performance.now()
  return ({ offsets, done }) => {
    const nowMs = performance.now()
    if (nowMs - toldMs < 2_000) return
    toldMs = nowMs
    process.stderr.write(
      `events: ${offsets === 0 ? 100 : Math.floor((done / offsets) * 100)} %, ${done} of ${offsets} offsets\n`,
    )
  }
}
