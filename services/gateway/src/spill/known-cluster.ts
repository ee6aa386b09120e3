import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type SchemaName, schemaText, type TopicName } from '@millrace/schemas'

/** What was known of Kafka and the schema registry when both answered last: with it, records are made while they are away. */
export interface KnownCluster {
  /** By topic. */
  readonly partitions: ReadonlyMap<string, number>
  /** The id under which the registry has this program's version of a schema; undefined when that is not known. */
  schemaId(topic: TopicName, schema: SchemaName): number | undefined
}

/** Collects what is known during a start, to be kept. */
export interface ClusterNotes {
  readonly partitions: ReadonlyMap<string, number>
  /** By topic. */
  readonly schemas: ReadonlyMap<TopicName, { readonly schema: SchemaName; readonly id: number }>
}

const fileName = 'known-cluster.json'
const version = 1

/** Reads what an earlier start has kept in `directory`; undefined when there is nothing, or nothing that this version can read. */
export async function readKnownCluster(directory: string): Promise<KnownCluster | undefined> {
  let found: unknown
  try {
    found = JSON.parse(await readFile(join(directory, fileName), 'utf8'))
  } catch {
    // Without it, a start waits for Kafka: nothing is lost.
    return undefined
  }
  if (!isObject(found) || found.version !== version) return undefined
  const { partitions, schemas } = found
  if (!isObject(partitions) || !isObject(schemas)) return undefined
  return {
    partitions: new Map(
      Object.entries(partitions).flatMap(([topic, count]) => (isCount(count) ? [[topic, count]] : [])),
    ),
    schemaId(topic, schema) {
      const known = schemas[topic]
      if (!isObject(known) || known.fingerprint !== fingerprintOf(schema) || !isCount(known.id)) return undefined
      return known.id
    },
  }
}

/** Keeps what is known for the next start. Replaces the file as a whole, so that a crash leaves the old one or the new one. */
export async function writeKnownCluster(directory: string, { partitions, schemas }: ClusterNotes): Promise<void> {
  const ids = [...schemas].map(
    ([topic, { schema, id }]) => [topic, { id, fingerprint: fingerprintOf(schema) }] as const,
  )
  const content = { version, partitions: Object.fromEntries(partitions), schemas: Object.fromEntries(ids) }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const draft = join(directory, `${fileName}.new`)
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(content, undefined, 2)}\n`)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  await rename(draft, join(directory, fileName))
}

/** Of the text: an id is of no use to a program that writes another version. */
function fingerprintOf(schema: SchemaName): string {
  return createHash('sha256').update(schemaText(schema)).digest('hex')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0
}
