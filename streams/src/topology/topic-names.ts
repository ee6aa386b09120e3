import type { Topology } from './topology.ts'

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

/** The repartition and changelog topics of a topology under an application id: what may be deleted when that application is done with for good. */
export function internalTopicNames(
  { internalTopics, subtopologies }: Topology,
  applicationId: string,
): readonly string[] {
  const names = topicNames(applicationId)
  const stores = subtopologies.flatMap((subtopology) => subtopology.stores.filter(({ changelog }) => changelog))
  return [
    ...internalTopics.map(({ name }) => names.topic({ topic: name, internal: true })),
    ...stores.map(({ name }) => names.changelog(name)),
  ]
}
