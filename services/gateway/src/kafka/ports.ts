/** Writes values of one topic to Kafka. */
export interface TopicWriter<T> {
  /**
   * Resolves when all in-sync replicas have every value; values with the same key keep their order. Throws `KAFKA_UNAVAILABLE` when
   * that is not known in time (some may appear in the topic nevertheless, each once) and `OVERLOADED` when too much is waiting already: then
   * nothing was sent. The values must fit the topic's schema: a wrong one throws before anything is sent.
   */
  write(values: readonly T[]): Promise<void>
}

/** Where a record lies. */
export interface RecordPosition {
  readonly partition: number
  readonly offset: number
}
