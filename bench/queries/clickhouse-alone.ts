import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ClickHouse, migrateClickHouse, openClickHouse } from '@millrace/storage/clickhouse'
import { BenchError } from '../bench-error.ts'
import { freePort } from '../free-port.ts'

/** A ClickHouse with our tables and nothing in them. */
export interface ClickHouseAlone {
  readonly clickHouse: ClickHouse
  readonly stop: () => Promise<void>
}

const program = join(import.meta.dirname, '../../deploy/local/src/clickhouse-server.ts')
const startDeadlineMs = 120_000
const password = 'of-this-run-only'

/** Starts the development server of ClickHouse in a folder of its own, and migrates it. It ends with this process. */
export async function startClickHouseAlone(folder: string): Promise<ClickHouseAlone> {
  const port = await freePort()
  const options = { url: `http://127.0.0.1:${port}`, user: 'millrace', password, database: 'millrace' }
  const child = spawn(process.execPath, [program], {
    env: {
      ...process.env,
      UV_THREADPOOL_SIZE: '16',
      MILLRACE_CLICKHOUSE_PORT: String(port),
      MILLRACE_CLICKHOUSE_DATA_DIR: folder,
      MILLRACE_CLICKHOUSE_USER: options.user,
      MILLRACE_CLICKHOUSE_PASSWORD: password,
      MILLRACE_CLICKHOUSE_DATABASE: options.database,
    },
    stdio: 'ignore',
  })
  process.once('exit', () => child.kill('SIGKILL'))
  const clickHouse = openClickHouse(options)
  const stop = async () => {
    await clickHouse.close()
    await ended(child)
  }
  try {
    const endMs = Date.now() + startDeadlineMs
    while (!(await answers(clickHouse))) {
      if (child.exitCode !== null || Date.now() > endMs) throw new BenchError('ClickHouse did not start.')
      await delay(100)
    }
    await migrateClickHouse(options)
    return { clickHouse, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function answers(clickHouse: ClickHouse): Promise<boolean> {
  return await clickHouse.ping().then(
    () => true,
    () => false,
  )
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await exit
  clearTimeout(timer)
}
