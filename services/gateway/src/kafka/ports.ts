import type { OutgoingRecord } from '@millrace/streams'

/** Where what was written is safe: in all in-sync replicas of Kafka, or in this gateway's spill log until Kafka is back. */
export const durabilities = ['kafka', 'spooled'] as const
export type Durability = (typeof durabilities)[number]

/** What the API's document says about it. */
export const durabilityDescription =
  'kafka: all in-sync replicas of Kafka have what was accepted. spooled: Kafka is away, and this service keeps it on its disk until Kafka is back.'

/** Brings encoded records of one topic to where they are safe. */
export interface RecordSender {
  /** Resolves when all records are safe; those of one partition keep their order, also across calls. Throws what its implementation says. */
  send(records: readonly OutgoingRecord[]): Promise<Durability>
}

/** Writes values of one topic to Kafka. */
export interface TopicWriter<T> {
  /**
   * Resolves when every value is safe, and says where; values with the same key keep their order. Throws `KAFKA_UNAVAILABLE` when that is not
   * known in time (some may appear in the topic nevertheless, each once); `SPILL_UNAVAILABLE` when neither Kafka nor the spill log takes
   * them, and `OVERLOADED` when too much is waiting already: then nothing was sent. The values must fit the topic's schema: a wrong one throws
   * before anything is sent.
   */
  write(values: readonly T[]): Promise<Durability>
  /** The same for values that are made one after the other. */
  begin(): TopicBatch<T>
}

/** Values that are written together. Each is encoded when it is added, and need not live until all are there. */
export interface TopicBatch<T> {
  /** Throws for a value that does not fit the topic's schema: then nothing of the batch may be written. */
  add(value: T): void
  /** As `TopicWriter.write`; a batch without values is safe in Kafka. Once only. */
  write(): Promise<Durability>
}

/** Where a record lies. */
export interface RecordPosition {
  readonly partition: number
  readonly offset: number
}
