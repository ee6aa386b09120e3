import type { txnOffsetCommitV3 } from '@platformatic/kafka'
import type { CommittedOffset, TopicPartition } from '../core/broker.ts'

/** Offsets in the shape of the wire. */
export function offsetTopics(
  offsets: readonly (TopicPartition & CommittedOffset)[],
): txnOffsetCommitV3.TxnOffsetCommitRequestTopic[] {
  const topics = new Map<string, txnOffsetCommitV3.TxnOffsetCommitRequestPartition[]>()
  for (const { topic, partition, offset, metadata } of offsets) {
    const entry = {
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    }
    const known = topics.get(topic)
    if (known === undefined) topics.set(topic, [entry])
    else known.push(entry)
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }))
}
