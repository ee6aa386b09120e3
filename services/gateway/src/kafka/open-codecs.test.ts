import { createLogger } from '@millrace/kit'
import { createCodec, type Registry, SchemaError } from '@millrace/schemas'
import { expect, it } from 'vitest'
import type { KnownCluster } from '../spill/known-cluster.ts'
import { openCodecs } from './open-codecs.ts'

const logger = createLogger({ service: 'test', level: 'silent' })
const known: KnownCluster = { partitions: new Map(), schemaId: (topic) => (topic === 'events' ? 41 : 42) }

function codecsOver(codecFor: Registry['codecFor'], more: { known?: KnownCluster; withinMs?: number } = {}) {
  const stop = new AbortController()
  const others: string[] = []
  const onOtherId = (error: Error) => others.push(error.message)
  const codecs = openCodecs({
    registry: { codecFor },
    known: undefined,
    logger,
    signal: stop.signal,
    onOtherId,
    ...more,
  })
  return { codecs, stop, others }
}

const answering: Registry['codecFor'] = async (_topic, schema) => createCodec(schema, 7)
const away: Registry['codecFor'] = async () => {
  throw new SchemaError('REGISTRY_UNAVAILABLE', 'away')
}

it('takes the ids of the registry, and notes them', async () => {
  const { codecs } = codecsOver(answering, { known, withinMs: 60_000 })
  expect((await codecs.open('events', 'event')).schemaId).toBe(7)
  expect(codecs.opened).toEqual(new Map([['events', { schema: 'event', id: 7 }]]))
})

it('takes the ids that it knows when the registry does not answer in time', async () => {
  const { codecs, stop } = codecsOver(away, { known, withinMs: 10 })
  const events = await codecs.open('events', 'event')
  expect([events.schemaId, (await codecs.open('leads', 'lead')).schemaId]).toEqual([41, 42])
  stop.abort()
})

it('says when the registry answers at last and has other ids', async () => {
  const late = Promise.withResolvers<void>()
  const answers = (id: number) =>
    codecsOver(async (_topic, schema) => late.promise.then(() => createCodec(schema, id)), { known, withinMs: 1 })
  const [same, other] = [answers(41), answers(9)]
  await Promise.all([same, other].map(({ codecs }) => codecs.open('events', 'event')))
  late.resolve()
  await expect
    .poll(() => other.others)
    .toEqual([expect.stringContaining('has id 9 for the schema of events, and had 41')])
  expect(same.others).toEqual([])
})

it('waits for the registry when it knows no id', async () => {
  const { codecs, stop } = codecsOver(away, { known: { partitions: new Map(), schemaId: () => undefined } })
  const opening = codecs.open('events', 'event')
  stop.abort()
  await expect(opening).rejects.toThrow('closing')
})
