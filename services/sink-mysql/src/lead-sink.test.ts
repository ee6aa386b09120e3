import { createCodec, type Lead } from '@millrace/schemas'
import type { LeadDecision, Placed, SinkRange } from '@millrace/storage/mysql'
import { deadLetterHeaders, type OutgoingRecord, StreamsError } from '@millrace/streams/sink'
import { describe, expect, it } from 'vitest'
import { batchOf, leadOf } from '../test/batches.ts'
import { createBatchDecoder } from './decode-batch.ts'
import { createLeadSink } from './lead-sink.ts'

const codec = createCodec('lead', 7)
const outcomeCodec = createCodec('lead-outcome', 8)
const context = { token: '', signal: new AbortController().signal }

function setUp(
  decide: (lead: Lead) => Pick<LeadDecision, 'outcome' | 'reason'> & { readonly duplicateOf?: string } = () => ({
    outcome: 'stored',
    reason: null,
  }),
) {
  const ranges: SinkRange[] = []
  const sent: OutgoingRecord[] = []
  const counts: string[] = []
  let failures = 0
  const sink = createLeadSink({
    group: 'sink-mysql-leads',
    leads: {
      async storeBatch(range: SinkRange, leads: readonly Placed<Lead>[]) {
        ranges.push(range)
        return leads.map(({ offset, value: lead }) => ({ offset, lead, duplicateOf: null, ...decide(lead) }))
      },
    },
    decode: createBatchDecoder({
      codec,
      registry: { schemaById: () => Promise.reject(new Error('not asked')) },
      skipTombstones: true,
      nowMs: () => 0,
    }),
    producer: {
      async send(records) {
        if (failures-- > 0) throw new StreamsError('BROKER_UNAVAILABLE', 'away')
        sent.push(...records)
        return []
      },
      close: async () => {},
    },
    outcomes: { name: 'lead-outcomes', partitions: 4, codec: outcomeCodec },
    deadLetterTopic: 'leads.dlq',
    nowMs: () => 1_700_000_000_500,
    onDeadLetters: (reason, count) => void counts.push(`${reason} ${count}`),
  })
  const outcomes = () =>
    sent.flatMap(({ topic, value }) =>
      topic === 'lead-outcomes' && value !== null ? [outcomeCodec.decode(value)] : [],
    )
  const letters = () => sent.filter(({ topic }) => topic === 'leads.dlq')
  return {
    sink,
    ranges,
    sent,
    counts,
    outcomes,
    letters,
    failNext: () => {
      failures = 1
    },
  }
}

describe('createLeadSink', () => {
  it('produces an outcome per lead, keyed by its id, after it was stored', async () => {
    const { sink, ranges, sent, outcomes } = setUp()
    const leads = [leadOf(), leadOf()]
    await sink.write(
      batchOf(
        leads.map((lead) => codec.encode(lead)),
        30,
      ),
      context,
    )
    expect(ranges).toEqual([
      { group: 'sink-mysql-leads', topic: 'leads', partition: 1, firstOffset: 30, nextOffset: 32, settledOffset: 30 },
    ])
    expect(outcomes()).toEqual(
      leads.map((lead) => ({
        lead_id: lead.lead_id,
        request_id: lead.request_id,
        outcome: 'stored',
        reason: null,
        duplicate_of: null,
        decided_at: 1_700_000_000_500,
      })),
    )
    expect(sent.map(({ key }) => String(key))).toEqual(leads.map((lead) => lead.lead_id))
  })

  it('answers a refused lead with its reason and keeps the original in the dead-letter topic', async () => {
    const { sink, outcomes, letters, counts } = setUp((lead) =>
      lead.country === 'TUR'
        ? { outcome: 'rejected', reason: 'country: value too long' }
        : { outcome: 'stored', reason: null },
    )
    const refused = codec.encode(leadOf({ country: 'TUR' }))
    await sink.write(batchOf([codec.encode(leadOf()), refused, Buffer.from('poison')]), context)
    expect(outcomes().map(({ outcome, reason }) => `${outcome} ${reason}`)).toEqual([
      'stored null',
      'rejected country: value too long',
    ])
    expect(letters().map(({ value }) => value)).toEqual([Buffer.from('poison'), refused])
    const [, header] = letters()
    const exception = header?.headers?.find(({ key }) => key === deadLetterHeaders.exception)
    expect(String(exception?.value)).toBe('ROW_REFUSED')
    expect(counts).toEqual(['NOT_FRAMED 1', 'ROW_REFUSED 1'])
  })

  it('goes on where it failed when the same batch comes again', async () => {
    const { sink, ranges, outcomes, failNext } = setUp()
    const batch = batchOf([codec.encode(leadOf())])
    failNext()
    await expect(sink.write(batch, context)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    await sink.write(batch, context)
    expect(ranges).toHaveLength(1)
    expect(outcomes()).toHaveLength(1)
  })
})
