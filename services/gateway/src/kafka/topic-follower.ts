import { backoffMs, type Logger, sleep } from '@millrace/kit'
import { type RecordCodec, SchemaError } from '@millrace/schemas'
import { type Admin, type Broker, type Fetcher, hasCode, partitionKey, RecordCursor } from '@millrace/streams'
import { followRetryMsMax, pollWaitMsMax } from '../limits.ts'
import type { RecordPosition } from './ports.ts'

/** Follows one topic over all of its partitions, without a group: every gateway sees every record. */
export interface TopicFollower {
  /** Resolves when the positions to read from are known: every record produced afterwards will be seen. */
  readonly positioned: Promise<void>
  /** Resolves when everything has been read that was in the topic at the start. */
  readonly caughtUp: Promise<void>
  /** The error that keeps it from following right now; undefined while all is well. */
  failure(): unknown
  /** Stops; idempotent. */
  close(): Promise<void>
}

/** What a follower needs. */
export interface FollowOptions<T> {
  readonly broker: Broker
  readonly clientId: string
  readonly topic: string
  /** Where to begin: with everything the topic holds, or with what comes from now on. */
  readonly from: 'earliest' | 'latest'
  readonly codec: RecordCodec<T>
  /** The registry, asked only for schema ids that the codec has not met. */
  readonly schemaById: (schemaId: number) => Promise<string>
  /** Told before the first record, and again when records were lost to this follower (the topic was made anew or cut off). */
  readonly onStart?: (start: FollowStart) => void
  /** Told once after each start: everything was read that was in the topic then. */
  readonly onCaughtUp?: () => void
  readonly onRecord: (value: T, position: RecordPosition) => void
  /** A record that cannot be decoded: it is skipped. */
  readonly onUndecodable: (error: unknown, position: RecordPosition) => void
  readonly logger: Logger
}

/** Where a follower begins to read. */
export interface FollowStart {
  /** By partition: the first offset that the follower will see. */
  readonly offsets: readonly number[]
  /** False when the topic has lost records from its beginning (retention): what they said is not to be had from it. */
  readonly fromVeryBeginning: boolean
  /** The topic's `retention.ms`; −1 is for ever. */
  readonly retentionMs: number
}

/** Begins to follow. Never gives up: it opens anew, with growing pauses, and goes on from where it was. */
export function followTopic<T>(options: FollowOptions<T>): TopicFollower {
  const { topic, logger } = options
  const stop = new AbortController()
  const positioned = Promise.withResolvers<void>()
  const caughtUp = Promise.withResolvers<void>()
  const cursor = new RecordCursor()
  /** By partition, the next offset to read; empty until known. */
  const positions: number[] = []
  /** Where the topic ended at the start; undefined once that was reached. */
  let ends: readonly number[] | undefined
  let failure: unknown = new Error(`the topic ${topic} is not followed yet`)
  let fetcher: Fetcher | undefined

  const running = run()

  async function run(): Promise<void> {
    for (let attempt = 1; !stop.signal.aborted; attempt++) {
      try {
        await follow(() => {
          attempt = 0
        })
      } catch (error) {
        if (stop.signal.aborted) return
        failure = error
        if (hasCode(error, 'OFFSET_OUT_OF_RANGE')) positions.length = 0
        logger.warn({ err: error, topic, attempt }, 'the topic cannot be followed: trying again')
        await sleep(backoffMs(Math.max(attempt, 1), { maxMs: followRetryMsMax }), stop.signal).catch(() => {})
      }
    }
  }

  async function follow(onProgress: () => void): Promise<void> {
    const { broker, clientId } = options
    if (positions.length === 0) await findPositions()
    const opened = await broker.openFetcher({ clientId })
    fetcher = opened
    try {
      opened.assign(positions.map((offset, partition) => ({ topic, partition, offset })))
      positioned.resolve()
      checkCaughtUp()
      while (!stop.signal.aborted) {
        const fetched = await opened.poll(pollWaitMsMax)
        failure = undefined
        onProgress()
        for (const batches of fetched) {
          cursor.reset(batches)
          while (cursor.next()) {
            const learning = readRecord(batches.partition)
            if (learning !== undefined) await learning
          }
          positions[batches.partition] = cursor.nextOffset
        }
        for (const partition of positions.keys()) {
          positions[partition] = opened.position({ topic, partition }) ?? positions[partition] ?? 0
        }
        checkCaughtUp()
      }
    } finally {
      fetcher = undefined
      await opened.close()
    }
  }

  async function findPositions(): Promise<void> {
    const admin = await options.broker.openAdmin()
    try {
      const found = await describe(admin)
      positions.push(...(options.from === 'earliest' ? found.earliest : found.ends))
      ends = found.ends
      options.onStart?.({
        offsets: [...positions],
        fromVeryBeginning: found.earliest.every((offset) => offset === 0),
        retentionMs: found.retentionMs,
      })
    } finally {
      await admin.close()
    }
  }

  async function describe(admin: Admin) {
    const description = (await admin.describeTopics([topic])).get(topic)
    if (description === undefined) throw new Error(`the topic ${topic} does not exist: provision the topics`)
    const partitions = Array.from({ length: description.partitions }, (_, partition) => ({ topic, partition }))
    const earliest = await admin.listOffsets(partitions, 'earliest')
    const latest = await admin.listOffsets(partitions, 'latestCommitted')
    return {
      earliest: partitions.map((partition) => earliest.get(partitionKey(partition)) ?? 0),
      ends: partitions.map((partition) => latest.get(partitionKey(partition)) ?? 0),
      retentionMs: Number(description.config.get('retention.ms') ?? -1),
    }
  }

  /** A promise only where a schema has to be asked for, which is once per version; the caller awaits nothing otherwise. */
  function readRecord(partition: number): Promise<void> | undefined {
    if (cursor.valueStart < 0) return undefined
    const position = { partition, offset: cursor.offset }
    const bytes = cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)
    let value: T
    try {
      value = options.codec.decode(bytes)
    } catch (error) {
      if (error instanceof SchemaError && error.code === 'UNKNOWN_SCHEMA' && error.schemaId !== undefined) {
        return learnAndRead(error.schemaId, bytes, position)
      }
      options.onUndecodable(error, position)
      return undefined
    }
    options.onRecord(value, position)
    return undefined
  }

  async function learnAndRead(schemaId: number, bytes: Buffer, position: RecordPosition): Promise<void> {
    let schema: string
    try {
      schema = await options.schemaById(schemaId)
    } catch (error) {
      // An id that no registry knows is this record's fault; a registry that is away is not: then we come back to this very record.
      if (error instanceof SchemaError && error.retryable) {
        positions[position.partition] = position.offset
        throw error
      }
      options.onUndecodable(error, position)
      return
    }
    try {
      options.codec.learn(schemaId, schema)
      options.onRecord(options.codec.decode(bytes), position)
    } catch (error) {
      options.onUndecodable(error, position)
    }
  }

  function checkCaughtUp(): void {
    if (ends === undefined || ends.some((end, partition) => (positions[partition] ?? 0) < end)) return
    ends = undefined
    options.onCaughtUp?.()
    caughtUp.resolve()
  }

  return {
    positioned: positioned.promise,
    caughtUp: caughtUp.promise,
    failure: () => failure,
    async close() {
      stop.abort()
      await fetcher?.close()
      await running
    },
  }
}
