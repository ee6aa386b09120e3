import { createInterface } from 'node:readline'
import { type AppProbes, type Logger, StreamsApp, storeNames } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { openRocksDbStores } from '@millrace/streams/rocksdb'
import type { FailpointName, InstanceOrder, InstanceReport, InstanceSettings } from './instance-settings.ts'
import { commitIntervalMs, sessionTimeoutMs, transactionTimeoutMs } from './limits.ts'
import { applicationId, faultTopology } from './topology.ts'

// One process of the application under test. It is told things on standard input, and ends when that does; it tells things on standard output.

const settings: InstanceSettings = JSON.parse(process.argv[2] ?? '{}')
const { brokers, stateDirectory, guarantee, numStandbys } = settings
const topology = faultTopology()
const stores = await openRocksDbStores({ directory: stateDirectory, stores: storeNames(topology) })
// The engine's name for its first thread: the broker is asked about it when this process is dead.
tell({ event: 'opened', transactionalId: `${applicationId}-${stores.processId}-1` })

let order = settings.order
let passes = 0
let toldRestore = false
let commits = { commits: 0, records: 0, changelogRecords: 0 }

const app = new StreamsApp({
  topology,
  applicationId,
  broker: connectKafka({ brokers, clientId: applicationId }),
  stores,
  guarantee,
  numStandbys,
  commitIntervalMs,
  sessionTimeoutMs,
  transactionTimeoutMs,
  replicationFactor: 1,
  onStateChange: (state) => {
    if (state === 'recovering') toldRestore = false
    tell({ event: 'state', state })
  },
  probes: probes(),
  logger: logger(),
  failpoint: obey,
})
const telling = setInterval(tellCommits, 1_000)
void app.failed.then(() => process.exit(1))
process.once('SIGTERM', () => void close(true))
process.once('SIGINT', () => void close(false))
createInterface({ input: process.stdin })
  .on('line', (line) => {
    const told: InstanceOrder = JSON.parse(line)
    passes = 0
    order = told
  })
  .on('close', () => process.exit(1))
await app.start()

async function close(leave: boolean): Promise<void> {
  clearInterval(telling)
  tellCommits()
  await app.close({ leave })
  await stores.close()
  process.exit(0)
}

/** Sends the signal that was ordered. The report leaves before it: writing to a pipe waits. */
function obey(failpoint: FailpointName): void {
  if (order?.failpoint !== failpoint || ++passes < order.pass) return
  const { signal } = order
  order = undefined
  tell({ event: 'failpoint', failpoint })
  process.kill(process.pid, signal)
}

function probes(): AppProbes {
  return {
    restarted: (code) => tell({ event: 'restarted', code }),
    dropped: ({ reason, records }) => tell({ event: 'dropped', reason, records }),
    restoring({ records, remaining }) {
      if (remaining > 0 || toldRestore) return
      toldRestore = true
      tell({ event: 'restored', records })
    },
    committed({ records, changelogRecords }) {
      commits.commits++
      commits.records += records
      commits.changelogRecords += changelogRecords
    },
  }
}

function logger(): Logger {
  const warn: Logger['warn'] = ({ err, code }, message) => {
    tell({ event: 'warned', message, code: typeof code === 'string' ? code : '', reason: reasonOf(err) })
  }
  return { debug() {}, info() {}, warn, error: warn }
}

/** An error's words with those of its causes: the broker's may be the last. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  return error.cause instanceof Error ? `${error.message}: ${reasonOf(error.cause)}` : error.message
}

function tellCommits(): void {
  const { tasks, standbys } = app.snapshot()
  const numbers = new Set(tasks.map(({ id }) => Number(id.split('_')[1])))
  const copies = standbys.filter(({ position }) => position > 0).length
  tell({ event: 'committed', ...commits, numbers: [...numbers], copies })
  commits = { commits: 0, records: 0, changelogRecords: 0 }
}

function tell(report: InstanceReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`)
}
