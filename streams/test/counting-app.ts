import { connectKafka } from '../src/kafka/broker.ts'
import { openRocksDbStores } from '../src/rocksdb/rocksdb-stores.ts'
import { StreamsApp, storeNames } from '../src/runtime/streams-app.ts'
import { countingTopology } from './counting-topology.ts'

// A process that counts, for tests to kill: its settings are the JSON of the first argument, its states and the places of its copies go to stdout, one per line.
// With `dieAt` it kills itself when it passes that failpoint for the `dieOnPass`th time.

interface Settings {
  readonly brokers: readonly string[]
  readonly applicationId: string
  readonly input: string
  readonly output: string
  readonly stateDir: string
  readonly idleMs: number
  readonly numStandbys?: number
  readonly sessionTimeoutMs?: number
  /** At SIGTERM: stay a member for a restart. */
  readonly stays?: boolean
  readonly dieAt?: string
  readonly dieOnPass?: number
}

const settings: Settings = JSON.parse(process.argv[2] ?? '{}')
const { applicationId, brokers, input, output, stateDir, idleMs } = settings
const topology = countingTopology(input, output)
const stores = await openRocksDbStores({ directory: stateDir, stores: storeNames(topology) })
let passes = 0

const app = new StreamsApp({
  topology,
  applicationId,
  broker: connectKafka({ brokers, clientId: applicationId }),
  stores,
  idleMs,
  commitIntervalMs: 50,
  numStandbys: settings.numStandbys ?? 0,
  ...(settings.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: settings.sessionTimeoutMs }),
  replicationFactor: 1,
  onStateChange: (state) => process.stdout.write(`${state}\n`),
  probes: { restarted: (code) => process.stdout.write(`restarted ${code}\n`) },
  logger: {
    debug() {},
    info: (fields, message) => process.stdout.write(`log ${message} ${JSON.stringify(fields)}\n`),
    warn: (fields, message) => process.stderr.write(`${message} ${describe(fields)}\n`),
    error: (fields, message) => process.stderr.write(`${message} ${describe(fields)}\n`),
  },
  failpoint: (name) => {
    if (name === settings.dieAt && ++passes === settings.dieOnPass) process.kill(process.pid, 'SIGKILL')
  },
})
void app.failed.then(() => process.exit(1))
process.once('SIGTERM', () => {
  void app.close({ leave: settings.stays !== true }).then(async () => {
    await stores.close()
    process.exit(0)
  })
})
let told = ''
setInterval(() => {
  const standbys = JSON.stringify(app.snapshot().standbys.map(({ partition, position }) => ({ partition, position })))
  if (standbys !== told) process.stdout.write(`standbys ${standbys}\n`)
  told = standbys
}, 100).unref()
await app.start()

function describe(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value))
}
