import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from './clickhouse/config.ts'
import { openEngine } from './clickhouse/engine.ts'
import { createHttpInterface } from './clickhouse/http-interface.ts'
import { limits } from './clickhouse/limits.ts'

const log = (line: string) => process.stdout.write(`${new Date().toISOString()} ${line}\n`)

try {
  await serve()
} catch (error) {
  log(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}

async function serve(): Promise<void> {
  const config = readConfig(process.env)
  const dataFolder = join(config.dataFolder, 'engine')
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const engine = await openEngine(dataFolder, config.database)
  const server = createHttpInterface({
    engine,
    accounts: config.accounts,
    uploadFolder: join(config.dataFolder, 'uploads'),
    log,
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: config.port, host: '127.0.0.1' }, resolve)
  })
  log(`ClickHouse ${engine.version} answers at http://127.0.0.1:${config.port}, data in ${dataFolder}`)

  let stopping = false
  const stop = (signal: string) => {
    if (stopping) return
    stopping = true
    log(`${signal}: finishing running queries`)
    // What is not finished soon is killed; what was acknowledged is on disk either way.
    setTimeout(() => void engine.kill().catch((error: unknown) => log(String(error))), limits.killAfterMs).unref()
    setTimeout(() => process.exit(0), limits.drainMs).unref()
    server.close(() => {
      engine.close().then(
        () => process.exit(0),
        (error: unknown) => {
          log(String(error))
          process.exit(1)
        },
      )
    })
    server.closeIdleConnections()
  }
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
}
