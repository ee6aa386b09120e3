import type { TopicName, TopicSpec } from '@millrace/schemas'
import type { Admin } from '@millrace/streams'

/** What `provision` needs of the schema registry. */
export interface SchemaRegistrar {
  registerAll(): Promise<ReadonlyMap<TopicName, number>>
}

/** How topics are created. */
export interface ProvisionOptions {
  readonly topics: readonly TopicSpec[]
  readonly replicationFactor: number
  /** Partitions of every topic that is no dead-letter topic; the catalogue's numbers when absent. */
  readonly partitions?: number
}

/** What `provision` did and found. */
export interface ProvisionReport {
  readonly createdTopics: readonly string[]
  /** Existing topics that differ from the catalogue, in words. They are left as they are: the operator decides. */
  readonly differences: readonly string[]
  readonly schemaIds: ReadonlyMap<TopicName, number>
}

/** Creates the topics that are missing, compares those that exist with the catalogue, registers the schemas. Safe to repeat. */
export async function provision(
  admin: Admin,
  registrar: SchemaRegistrar,
  options: ProvisionOptions,
): Promise<ProvisionReport> {
  const wanted = options.topics.map((spec) => ({
    name: spec.name,
    partitions: spec.schema === null ? spec.partitions : (options.partitions ?? spec.partitions),
    replicationFactor: options.replicationFactor,
    config: spec.config,
  }))
  const existing = await admin.describeTopics(wanted.map((topic) => topic.name))
  const createdTopics = await admin.createTopics(wanted.filter((topic) => !existing.has(topic.name)))

  const differences: string[] = []
  for (const topic of wanted) {
    const found = existing.get(topic.name)
    if (found === undefined) continue
    if (options.partitions !== undefined && found.partitions !== topic.partitions) {
      differences.push(`${topic.name} has ${found.partitions} partitions, not ${topic.partitions}`)
    }
    for (const [key, value] of Object.entries(topic.config)) {
      const current = found.config.get(key)
      if (current !== undefined && current !== value)
        differences.push(`${topic.name} has ${key}=${current}, not ${value}`)
    }
  }
  return { createdTopics, differences, schemaIds: await registrar.registerAll() }
}
