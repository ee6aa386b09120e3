import { type GroupMember, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { OffsetKeeper, SinkPosition } from './batch-sink.ts'
import { sinkLimits } from './limits.ts'

/** Offsets that a store keeps together with the rows. */
export interface OffsetStore {
  /**
   * Where each partition must be read from, by its number; those of which nothing is stored are absent. May lie before what is stored, when what follows from storing
   * was not settled: the store recognises the rows it has.
   */
  positions(topic: string): Promise<ReadonlyMap<number, number>>
  /** Notes that everything before `offset` is stored and settled. */
  settle(of: TopicPartition & { readonly offset: number }): Promise<void>
}

/**
 * Exactly once into a transactional store: the store moves a partition's offset in the transaction that stores the rows, and decides where to go on.
 * The group's commits only inform those who look at its lag: they are sent now and then, and may fail.
 */
export function storedOffsets(options: {
  readonly store: OffsetStore
  readonly member: GroupMember
  readonly clock: Clock
  readonly logger: Logger
}): OffsetKeeper {
  const { store, member, clock, logger } = options
  const settled = new Map<string, TopicPartition & { readonly offset: number }>()
  const informedAtMs = new Map<string, number>()

  async function inform(of: TopicPartition & { readonly offset: number }): Promise<void> {
    informedAtMs.set(partitionKey(of), clock.nowMs())
    try {
      await member.commit([{ ...of, metadata: '' }])
    } catch (error) {
      const fields = { err: error, topic: of.topic, partition: of.partition, offset: of.offset }
      logger.debug(fields, 'offset not committed to the group: only its lag is out of date')
    }
  }

  return {
    async positions(partitions) {
      const positions = new Map<number, SinkPosition>()
      const topics = new Set(partitions.map(({ topic }) => topic))
      for (const topic of topics) {
        for (const [partition, offset] of await store.positions(topic)) positions.set(partition, { offset })
      }
      return positions
    },

    async announce() {
      return ''
    },

    async done({ topic, partition, nextOffset: offset }) {
      const of = { topic, partition, offset }
      const key = partitionKey(of)
      settled.set(key, of)
      const dueAtMs = (informedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) + sinkLimits.informIntervalMs
      // Not awaited: the next batch must not wait for what only informs.
      if (clock.nowMs() >= dueAtMs) void inform(of)
    },

    async flush(partitions) {
      for (const partition of partitions) {
        const of = settled.get(partitionKey(partition))
        if (of === undefined) continue
        settled.delete(partitionKey(partition))
        informedAtMs.delete(partitionKey(partition))
        await inform(of)
        try {
          await store.settle(of)
        } catch (error) {
          const fields = { err: error, topic: of.topic, partition: of.partition, offset: of.offset }
          logger.warn(fields, 'settled offset not stored: the next owner settles the last batch again')
        }
      }
    },
  }
}
