/** How topics of a topology are called at the broker. */
export interface TopicNames {
  /** A source's or sink's topic: repartition topics get the application id in front and the suffix behind. */
  topic(of: { readonly topic: string; readonly internal: boolean }): string
  /** The changelog topic of a store. */
  changelog(store: string): string
}

/** Kafka Streams' names: `<application.id>-<name>-repartition`, `<application.id>-<store>-changelog`. */
export function topicNames(applicationId: string): TopicNames {
  return {
    topic: (of) => (of.internal ? `${applicationId}-${of.topic}-repartition` : of.topic),
    changelog: (store) => `${applicationId}-${store}-changelog`,
  }
}
