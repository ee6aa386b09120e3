import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { StreamsApp, storeNames, type Topology } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { openRocksDbStores } from '@millrace/streams/rocksdb'
import { CpuProfile } from './cpu-profile.ts'
import { partitionCount } from './input-topic.ts'
import { Meter, tell } from './meter.ts'
import { arrivals, byType, byUser, general, type Topics } from './topologies.ts'

// Our side, in a process of its own: its settings are the JSON of the first argument; what it measured goes to stdout as JSON.

const programs = {
  'by-type': byType,
  'by-user': byUser,
  general,
  arrivals: (topics: Topics) => arrivals(topics, partitionCount),
}

/** What is run, and what of it is measured. */
export interface OursSettings extends Topics {
  readonly program: keyof typeof programs
  /** `input`: from running until everything is committed; `restore`: from an empty store until running; `none`: runs until it is told to stop. */
  readonly measure: 'input' | 'restore' | 'none'
  readonly broker: string
  readonly applicationId: string
  readonly stateFolder: string
  /** Records of the input. */
  readonly records: number
  readonly stateBytesMax?: number
  /** Where a CPU profile of what is measured goes; none when absent. */
  readonly profileFile?: string
}

/** As the JVM's Kafka Streams under exactly-once. */
const commitIntervalMs = 100

const settings: OursSettings = JSON.parse(process.argv[2] ?? '{}')
await run(programs[settings.program](settings))

async function run(topology: Topology): Promise<void> {
  const { applicationId, broker, measure, stateFolder, stateBytesMax } = settings
  // The id of the process stays: with another one, the group would wait for the old member's session to end.
  if (measure === 'restore')
    for (const name of ['rocksdb', 'stores']) await rm(join(stateFolder, name), { recursive: true, force: true })
  const stores = await openRocksDbStores({ directory: stateFolder, stores: storeNames(topology) })
  const meter = new Meter(measure, settings.records)
  const profile = settings.profileFile === undefined ? undefined : new CpuProfile()
  const app = new StreamsApp({
    topology,
    applicationId,
    broker: connectKafka({ brokers: [broker], clientId: applicationId }),
    stores,
    commitIntervalMs,
    replicationFactor: 1,
    probes: meter.probes,
    ...(stateBytesMax === undefined ? {} : { stateBytesMax }),
  })
  void app.failed.then((error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
    process.exit(1)
  })
  const told = new Promise((resolve) => process.once('SIGTERM', resolve))
  await profile?.start()
  await app.start()
  await Promise.race([meter.finished, told])
  tell(meter.measurement())
  await profile?.writeTo(settings.profileFile ?? '')
  await app.close()
  await stores.close()
  process.exit(0)
}
