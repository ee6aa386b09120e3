import { type Logger, waitFor } from '@millrace/kit'
import {
  createCodec,
  type RecordCodec,
  type RecordTypes,
  type Registry,
  type SchemaName,
  type TopicName,
} from '@millrace/schemas'
import { startWithoutMs } from '../limits.ts'
import type { ClusterNotes, KnownCluster } from '../spill/known-cluster.ts'
import { answerWithin } from './answer-within.ts'

/** Codecs of topics, and which ids their schemas have. */
export interface Codecs {
  /** Resolves when the registry answers and has the schema; or, when it has not for a while and the id is known, with that. Throws as `waitFor`. */
  open<N extends SchemaName>(topic: TopicName, schema: N): Promise<RecordCodec<RecordTypes[N]>>
  /** Of those that were opened, by topic. */
  readonly opened: ClusterNotes['schemas']
}

/** Makes them. */
export function openCodecs(options: {
  readonly registry: Pick<Registry, 'codecFor'>
  readonly known: KnownCluster | undefined
  readonly logger: Logger
  readonly signal: AbortSignal
  /** The registry answers at last, and has another id for a schema: what is written with the known one can be read by nobody. */
  readonly onOtherId: (error: Error) => void
  /** How long the registry is waited for where the id is known. */
  readonly withinMs?: number
}): Codecs {
  const { registry, known, logger, signal, onOtherId, withinMs = startWithoutMs } = options
  const opened = new Map<TopicName, { readonly schema: SchemaName; readonly id: number }>()
  let isAway = false

  async function find<N extends SchemaName>(topic: TopicName, schema: N): Promise<RecordCodec<RecordTypes[N]>> {
    const knownId = known?.schemaId(topic, schema)
    const asking = waitFor('the schema registry', () => registry.codecFor(topic, schema), { logger, signal })
    if (knownId === undefined) return await asking
    // Who did not answer the first time is not waited for again.
    const answered = await answerWithin(asking, isAway ? 0 : withinMs)
    if (answered !== undefined) return answered
    if (!isAway)
      logger.warn(
        { dependency: 'the schema registry' },
        'the schema registry does not answer: starting with the ids that it has given',
      )
    isAway = true
    const compare = ({ schemaId }: { readonly schemaId: number }) => {
      if (schemaId === knownId) return
      onOtherId(
        new Error(`the schema registry has id ${schemaId} for the schema of ${topic}, and had ${knownId} before`),
      )
    }
    // It may be away for longer than it is asked: then the next start compares.
    asking.then(compare, () => {})
    return createCodec(schema, knownId)
  }

  return {
    opened,
    async open(topic, schema) {
      const codec = await find(topic, schema)
      opened.set(topic, { schema, id: codec.schemaId })
      return codec
    },
  }
}
