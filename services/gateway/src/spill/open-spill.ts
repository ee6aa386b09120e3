import { join } from 'node:path'
import { type Logger, type Registry, waitFor } from '@millrace/kit'
import type { Broker, Producer } from '@millrace/streams'
import type { RecordSender } from '../kafka/ports.ts'
import { spillFloorsMs } from '../limits.ts'
import { lockDirectory } from './directory-lock.ts'
import { openNodeFiles } from './node-files.ts'
import { SpillLog } from './spill-log.ts'
import { createSpillCounts, registerSpillGauges } from './spill-metrics.ts'
import { startReplay } from './spill-replay.ts'
import { SpillingSender } from './spilling-sender.ts'
import { createTopicEnds } from './topic-ends.ts'

/** What a spill runs on. */
export interface SpillOptions {
  /** Of this gateway alone; made when it does not exist. */
  readonly directory: string
  readonly bytesMax: number
  /** Kafka is taken for away when it has not answered for so long. */
  readonly afterMs: number
  readonly broker: Broker
  readonly producer: Pick<Producer, 'send'>
  /** Kafka did not answer at the start: records go to the log until it does. */
  readonly isAway: boolean
  /** The topics whose records are kept, with their numbers of partitions. */
  readonly topics: ReadonlyMap<string, number>
  readonly registry: Registry
  readonly logger: Logger
  /** Aborts the wait for Kafka at the start. */
  readonly signal: AbortSignal
}

/** A spill log at work: what sends to it, and what brings it to Kafka. */
export interface Spill {
  /** To Kafka, or to the log while Kafka is away. */
  readonly spilling: RecordSender
  /** To Kafka only, and at once not while it is known to be away. */
  readonly direct: RecordSender
  /** Throws while anything is in the log, or goes there. */
  requireDirect(): void
  /** True while requests could go to the log. */
  hasRoom(): boolean
  /** Stops the replay, writes what waits and gives the directory free. Call when no request is under way. */
  close(): Promise<void>
}

/**
 * Opens the spill log of a directory and starts its replay. Throws when another process has the directory, and what the disk throws; waits
 * for Kafka, unless it is known to be away, which is asked once where its topics end.
 */
export async function openSpill(options: SpillOptions): Promise<Spill> {
  const { broker, logger, registry } = options
  const files = await openNodeFiles(join(options.directory, 'log'))
  const lock = await lockDirectory(options.directory)
  const log = await SpillLog.open({ files, bytesMax: options.bytesMax, logger })
  if (log.entries > 0)
    logger.warn({ count: log.entries, bytes: log.bytes }, 'the spill log holds requests of an earlier run')
  if (log.lost > 0) logger.error({ count: log.lost }, 'requests in the spill log are damaged and lost')
  const ends = createTopicEnds(options.topics)
  const admin = await broker.openAdmin()
  if (!options.isAway) await waitFor('Kafka', () => ends.refresh(admin), { logger, signal: options.signal })

  const counts = createSpillCounts(registry)
  const sender = new SpillingSender({ ...options, log, ends, counts })
  const positionTopic = [...options.topics.keys()][0] ?? ''
  // Others have written meanwhile: what is sent from now on without an answer need not be looked for before.
  const onReached = () => ends.refresh(admin)
  const replay = startReplay({ broker, log, sender, positionTopic, logger, counts, onReached })
  registerSpillGauges(registry, { log, sender })
  const refreshing = setInterval(() => {
    // A failure is of no consequence: what is known stays true, it only makes a search begin earlier.
    if (sender.state === 'direct') ends.refresh(admin).catch(() => {})
  }, spillFloorsMs)

  return {
    spilling: sender,
    direct: { send: (records) => sender.sendNow(records) },
    requireDirect() {
      if (sender.state === 'direct') return
      const cause = replay.failure()
      throw new Error(`${log.entries} requests wait in the spill log`, cause === undefined ? {} : { cause })
    },
    hasRoom: () => log.hasRoom,
    async close() {
      clearInterval(refreshing)
      sender.close()
      await replay.close()
      await log.close()
      await lock.release()
      await admin.close()
    },
  }
}
