import { type Check, createLogger, createMetrics, installShutdown, runMain, startHealthServer } from '@millrace/kit'
import { connectKafka } from '@millrace/streams/kafka'
import manifest from '../package.json' with { type: 'json' }
import { advertisedEndpoint, processorConfig } from './config.ts'
import { Engine } from './engine.ts'
import { exposeEngine } from './engine-gauges.ts'
import { engineMetrics, processorLogFields } from './engine-metrics.ts'
import { openProgram, openState, settingsOf } from './program.ts'
import { queryPages } from './query-pages.ts'

runMain(async () => {
  const config = processorConfig(process.env)
  const logger = createLogger({ service: 'processor', level: config.logLevel, fields: processorLogFields })
  const shutdown = installShutdown({ logger })
  const metrics = createMetrics({ service: 'processor' })
  let engine: Engine | undefined
  const snapshot = () =>
    engine?.snapshot() ?? { state: 'starting' as const, tasks: [], restore: undefined, standbys: [] }

  exposeEngine(metrics, () => engine)

  const engineCheck: Check = {
    name: 'engine',
    run() {
      const { state, restore } = snapshot()
      if (state === 'running') return
      throw new Error(
        restore === undefined ? `the engine is ${state}` : `restoring, ${restore.remaining} offsets to go`,
      )
    },
  }
  const { healthHost: host, healthPort: port } = config
  const health = await startHealthServer({
    host,
    port,
    version: manifest.version,
    checks: [engineCheck],
    registry: metrics,
    pages: queryPages(() => engine),
  })
  shutdown.onClose('health server', () => health.close())

  const waiting = { logger, signal: shutdown.signal }
  const program = await openProgram(config, waiting)
  const stores = await openState(program, config, waiting)
  shutdown.onClose('state', () => stores.close())

  const endpoint = advertisedEndpoint(config, health.url)
  engine = new Engine({
    ...program,
    broker: connectKafka({ brokers: [...config.brokers], clientId: config.applicationId }),
    stores,
    logger,
    probes: engineMetrics(metrics, logger),
    signal: shutdown.signal,
    settings: {
      ...settingsOf(config),
      numStandbys: config.standbys,
      ...(endpoint === undefined ? {} : { queryEndpoint: endpoint }),
    },
  })
  const running = engine
  shutdown.onClose('engine', () => running.close({ leave: !config.restartGrace }))
  void running.failed.then((error) => shutdown.fatal(error))
  logger.info(
    {
      application_id: config.applicationId,
      guarantee: config.guarantee,
      directory: config.stateDirectory,
      url: health.url,
    },
    'processor starting',
  )
  await running.start()
})
