import { topic as topicSpec } from '@millrace/schemas'
import {
  type Admin,
  type AppSnapshot,
  type Broker,
  boundedBroker,
  internalTopicNames,
  type OffsetRange,
  offsetRanges,
  partitionKey,
  StreamsError,
  type Topology,
} from '@millrace/streams'

/** Between two looks at how far the engine is. */
const replayLookMs = 250

/** The part of the engine that a replay runs. */
export interface ReplayEngine {
  readonly failed: Promise<unknown>
  start(): Promise<void>
  snapshot(): AppSnapshot
  close(): Promise<void>
}

/** What a replay works with. */
export interface StatsReplayParts {
  readonly broker: Broker
  readonly topology: Topology
  readonly applicationId: string
  /** Where results go: made when it does not exist. */
  readonly intoTopic: string
  readonly replicationFactor: number
  /** Another engine on the same state, over a broker that shows the range only. */
  readonly openEngine: (broker: Broker) => Promise<ReplayEngine>
  readonly onProgress: (progress: StatsReplayProgress) => void
  readonly signal: AbortSignal
}

/** How far a replay is. */
export interface StatsReplayProgress {
  /** Offsets of the range, over all partitions. */
  readonly offsets: number
  readonly done: number
}

/**
 * Counts what arrived in `events` in a range of time anew, into a topic of its own: with the program and the exactness of the processor, under an application id of its own, beside whoever else reads the
 * topic. A replay that was ended goes on where it was. In the end the internal topics are deleted; the results stay.
 * Throws `INVALID_CONFIG` when the results' topic holds others', `TOPIC_MISSING`, and what the engine fails with.
 */
export async function replayStatistics(
  parts: StatsReplayParts,
  range: { readonly fromMs: number; readonly toMs: number },
): Promise<StatsReplayProgress> {
  const { broker, topology, applicationId } = parts
  const ranges = await offsetRanges(broker, 'events', range)
  const admin = await broker.openAdmin()
  try {
    await prepareTopic(admin, parts)
    const repartitions = internalTopicNames(topology, applicationId).filter((name) => name.endsWith('-repartition'))
    const bounded = boundedBroker(broker, ranges)
    // The last commit of the first run is the last that brings anything into the repartition topic: what it brought is the second one's.
    await run(parts, bounded, ranges)
    await run(parts, bounded, await wholeOf(admin, repartitions))
    await admin.deleteTopics(internalTopicNames(topology, applicationId))
    const ends = ranges.map(({ nextOffset }) => nextOffset)
    return progressOf(ranges, ends)
  } finally {
    await admin.close()
  }
}

/** The topic of the results is new, or this application's from an attempt that was ended. */
async function prepareTopic(admin: Admin, parts: StatsReplayParts): Promise<void> {
  const { intoTopic, replicationFactor } = parts
  const described = await admin.describeTopics(['stats', intoTopic])
  const partitions = described.get('stats')?.partitions
  if (partitions === undefined) {
    throw new StreamsError('TOPIC_MISSING', 'topic stats does not exist: provision the topics', { topic: 'stats' })
  }
  if (await isBegun(admin, parts)) return
  if (!described.has(intoTopic)) {
    await admin.createTopics([{ name: intoTopic, partitions, replicationFactor, config: topicSpec('stats').config }])
    return
  }
  if ((await wholeOf(admin, [intoTopic])).every(({ nextOffset }) => nextOffset === 0)) return
  const detail = `topic ${intoTopic} holds results of another program: name one that does not exist`
  throw new StreamsError('INVALID_CONFIG', detail, { topic: intoTopic })
}

/** Whether an earlier attempt has got anywhere. Without its internal topics it came to its end, and what it knew is gone. */
async function isBegun(admin: Admin, { broker, topology, applicationId }: StatsReplayParts): Promise<boolean> {
  const member = await broker.openGroupMember({ clientId: applicationId, groupId: applicationId })
  try {
    if ((await member.committed(await wholeOf(admin, ['events']))).size === 0) return false
  } finally {
    await member.close()
  }
  const existing = await admin.describeTopics(internalTopicNames(topology, applicationId))
  if (existing.size > 0) return true
  const detail = `a replay with application id ${applicationId} has come to its end: name another id`
  throw new StreamsError('INVALID_CONFIG', detail)
}

/** Runs an engine until it has processed these ranges, and committed. */
async function run(parts: StatsReplayParts, broker: Broker, ranges: readonly OffsetRange[]): Promise<void> {
  const engine = await parts.openEngine(broker)
  const stop = new AbortController()
  const failed = engine.failed.then((error) => {
    throw error
  })
  try {
    await Promise.race([failed, processed(parts, engine, ranges, stop.signal)])
  } finally {
    stop.abort()
    await engine.close()
  }
}

async function processed(
  { onProgress, signal }: StatsReplayParts,
  engine: ReplayEngine,
  ranges: readonly OffsetRange[],
  stop: AbortSignal,
): Promise<void> {
  await engine.start()
  while (!stop.aborted) {
    signal.throwIfAborted()
    const { state, tasks } = engine.snapshot()
    const positions = new Map(
      tasks.flatMap(({ inputs }) => inputs.map((input) => [partitionKey(input), input.position] as const)),
    )
    const at = ranges.map((range) => positions.get(partitionKey(range)) ?? range.firstOffset)
    const progress = progressOf(ranges, at)
    if (ranges.some(({ topic }) => topic === 'events')) onProgress(progress)
    if (state === 'running' && progress.done === progress.offsets) return
    await new Promise((resolve) => setTimeout(resolve, replayLookMs))
  }
}

function progressOf(ranges: readonly OffsetRange[], positions: readonly number[]): StatsReplayProgress {
  let offsets = 0
  let done = 0
  for (const [i, { firstOffset, nextOffset }] of ranges.entries()) {
    offsets += nextOffset - firstOffset
    done += Math.min(Math.max((positions[i] ?? firstOffset) - firstOffset, 0), nextOffset - firstOffset)
  }
  return { offsets, done }
}

/** All that topics hold now. */
async function wholeOf(admin: Admin, topics: readonly string[]): Promise<readonly OffsetRange[]> {
  const all = [...(await admin.describeTopics(topics)).values()].flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
  )
  const ends = await admin.listOffsets(all, 'latestCommitted')
  return all.map((of) => ({ ...of, firstOffset: 0, nextOffset: ends.get(partitionKey(of)) ?? 0 }))
}
