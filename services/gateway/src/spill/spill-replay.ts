import { backoffMs, type Logger, sleep } from '@millrace/kit'
import { type Broker, type OutgoingRecord, partitionKey, type TransactionalProducer } from '@millrace/streams'
import {
  spillHandoverBytesMax,
  spillProducerCloseMs,
  spillReplayBytes,
  spillReplayDeliveryMs,
  spillRetryMsMax,
  spillTransactionTimeoutMs,
} from '../limits.ts'
import { createDoubt } from './doubt.ts'
import { restMs } from './replay-pace.ts'
import type { SpillEntry } from './spill-format.ts'
import { type SpillCursor, type SpillLog, spillStart } from './spill-log.ts'
import type { SpillingSender } from './spilling-sender.ts'

/** What a replay needs. */
export interface SpillReplayOptions {
  readonly broker: Broker
  readonly log: SpillLog
  readonly sender: SpillingSender
  /** A topic that exists: under its first partition the position is kept in Kafka. */
  readonly positionTopic: string
  readonly logger: Logger
  /** Waits between attempts and between transactions; `sleep` unless a test does not want to. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
  /** Kafka answers again: called before anything is replayed. */
  readonly onReached?: () => Promise<void>
  readonly counts: {
    replayed(records: number): void
    /** Records that were in Kafka already, although nobody had said so. */
    landed(records: number): void
  }
}

/** Brings the spill log to Kafka whenever there is anything in it. */
export interface SpillReplay {
  /** Why the last attempt failed; undefined when it did not. */
  failure(): unknown
  /** Finishes the transaction under way, if that is quick; idempotent. */
  close(): Promise<void>
}

/** Who commits the position: nobody of a group, so no generation. */
const noMember = { generationId: -1, memberId: '', groupInstanceId: null } as const

/**
 * Starts the replay. Each step is one transaction that holds records and the position behind them, so that a crash at any moment neither loses nor repeats
 * any: the next attempt takes over the transactional id, which ends what was open, and reads the position from Kafka.
 */
export function startReplay(options: SpillReplayOptions): SpillReplay {
  const { broker, log, sender, logger, wait = sleep } = options
  const name = `millrace-spill-${log.id}`
  const stop = new AbortController()
  let producer: TransactionalProducer | undefined
  let failure: unknown

  async function run(): Promise<void> {
    const stopped = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()))
    for (let attempt = 1; ; attempt++) {
      await Promise.race([sender.opened(), stopped])
      if (stop.signal.aborted) return
      try {
        await session()
        failure = undefined
        attempt = 0
      } catch (error) {
        if (stop.signal.aborted) return
        failure = error
        logger.warn({ err: error, attempt }, 'the spill log could not be replayed: trying again')
        await wait(backoffMs(attempt, { maxMs: spillRetryMsMax }), stop.signal).catch(() => {})
      } finally {
        sender.reached(false)
        await producer?.close()
        producer = undefined
      }
    }
  }

  /** From the first answer of Kafka to an empty log. */
  async function session(): Promise<void> {
    // What the producer still repeats must have ended one way or the other before anything goes behind it or is looked for.
    await sender.settled()
    await log.flushed()
    producer = await broker.openTransactionalProducer({
      clientId: 'millrace-gateway-spill',
      transactionalId: name,
      transactionTimeoutMs: spillTransactionTimeoutMs,
      deliveryTimeoutMs: spillReplayDeliveryMs,
    })
    stop.signal.throwIfAborted()
    await log.release(await committedPosition())
    await options.onReached?.()
    sender.reached(true)
    const began = { count: log.entries, bytes: log.bytes }
    logger.info(began, 'Kafka answers: the spill log is being replayed')
    const step = createStep(producer)
    let cursor = spillStart
    const drain = async () => {
      while ((await move()) > 0) stop.signal.throwIfAborted()
    }
    const move = async () => {
      const batch = await log.read(cursor, spillReplayBytes)
      if (batch.entries.length > 0) await step(batch.entries, batch.cursor)
      cursor = batch.cursor
      return batch.entries.reduce((bytes, entry) => bytes + entry.bytes, 0)
    }
    while (!stop.signal.aborted) {
      const before = log.bytesFrom(cursor)
      if (before <= spillHandoverBytesMax && (await sender.handover(drain))) break
      const startedMs = performance.now()
      const replayedBytes = await move()
      const tookMs = performance.now() - startedMs
      const shrunkBytes = before - log.bytesFrom(cursor)
      const rest = restMs({ tookMs, replayedBytes, shrunkBytes })
      if (rest > 0) await wait(rest, stop.signal).catch(() => {})
    }
    logger.info(began, 'the spill log is empty: records go to Kafka again')
  }

  async function committedPosition(): Promise<number> {
    const position = { topic: options.positionTopic, partition: 0 }
    const member = await broker.openGroupMember({ clientId: 'millrace-gateway-spill', groupId: name })
    try {
      return (await member.committed([position])).get(partitionKey(position))?.offset ?? 0
    } finally {
      await member.close({ leave: false })
    }
  }

  /** One transaction. */
  function createStep(
    to: TransactionalProducer,
  ): (entries: readonly SpillEntry[], behind: SpillCursor) => Promise<void> {
    const doubt = createDoubt(broker, log)
    return async (entries, behind) => {
      await doubt.resolve(entries, behind)
      const records: OutgoingRecord[] = []
      let landed = 0
      for (const entry of entries) {
        if (entry.sequence < log.position) continue
        for (const record of entry.records) {
          if (entry.floors !== undefined && doubt.take(record)) landed++
          else records.push(record)
        }
      }
      const next = (entries.at(-1)?.sequence ?? -1) + 1
      if (next <= log.position) return
      if (records.length > 0) await to.send(records)
      await to.sendOffsets({ groupId: name, ...noMember }, [
        { topic: options.positionTopic, partition: 0, offset: next, metadata: '' },
      ])
      await to.commit()
      await log.release(next)
      options.counts.replayed(records.length)
      options.counts.landed(landed)
    }
  }

  const running = run()
  return {
    failure: () => failure,
    async close() {
      stop.abort()
      const inTime = new AbortController()
      const late = sleep(spillProducerCloseMs, inTime.signal).then(
        () => producer?.close(),
        () => {},
      )
      await Promise.race([running, late])
      inTime.abort()
    },
  }
}
