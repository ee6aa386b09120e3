import type { Lead, LeadOutcome, RecordCodec } from '@millrace/schemas'
import type { LeadDecision, LeadIntake } from '@millrace/storage/mysql'
import { defaultPartition } from '@millrace/streams/kafka'
import {
  type BatchSink,
  type OutgoingRecord,
  type Producer,
  type SinkBatch,
  sendDeadLetters,
} from '@millrace/streams/sink'
import { deadLettersOf } from './dead-letters.ts'
import type { BatchDecoder, DecodedBatch } from './decode-batch.ts'

/** Where outcomes go. */
export interface OutcomeTopic {
  readonly name: string
  readonly partitions: number
  readonly codec: Pick<RecordCodec<LeadOutcome>, 'encode'>
}

/** What the sink of leads needs. */
export interface LeadSinkOptions {
  readonly group: string
  readonly leads: LeadIntake
  readonly decode: BatchDecoder<Lead>
  readonly producer: Producer
  readonly outcomes: OutcomeTopic
  readonly deadLetterTopic: string
  readonly nowMs: () => number
  /** Told when dead letters are acknowledged. */
  readonly onDeadLetters: (reason: string, count: number) => void
}

/** What was done for a batch, kept while its write is repeated. */
interface Progress {
  readonly poison: DecodedBatch<Lead>['poison']
  readonly decisions: readonly LeadDecision[]
  outcomesSent: boolean
  lettersSent: boolean
}

/**
 * Stores leads and says what became of them: (1) decode; (2) one transaction with the rows and the partition's offset; (3) the outcomes; (4) dead letters of what
 * was refused. A crash after (2) leaves the offset unsettled: the next owner reads the range again, the database derives the same outcomes, and they are
 * produced again. Whoever waits for an outcome may therefore see it twice, and never misses it.
 */
export function createLeadSink(options: LeadSinkOptions): BatchSink {
  const { decode, leads, group, producer, outcomes, deadLetterTopic, onDeadLetters } = options
  const progress = new WeakMap<SinkBatch, Progress>()

  async function store(batch: SinkBatch): Promise<Progress> {
    const { values, poison } = await decode(batch)
    const { topic, partition, firstOffset, nextOffset } = batch
    // Batches of a partition come one after the other: what is before this one is stored and settled.
    const range = { group, topic, partition, firstOffset, nextOffset, settledOffset: firstOffset }
    const decisions = await leads.storeBatch(range, values)
    return { poison, decisions, outcomesSent: false, lettersSent: false }
  }

  return {
    async write(batch) {
      const done = progress.get(batch) ?? (await store(batch))
      progress.set(batch, done)
      if (!done.outcomesSent && done.decisions.length > 0) {
        const decidedAtMs = options.nowMs()
        await producer.send(done.decisions.map((decision) => outcomeRecord(decision, { outcomes, decidedAtMs })))
      }
      done.outcomesSent = true
      if (done.lettersSent) return
      const rejections = rejectionsOf(done.decisions)
      const failed = { poison: done.poison, rejections, failedAtMs: options.nowMs() }
      await sendDeadLetters(producer, deadLettersOf({ topic: deadLetterTopic, batch, ...failed }))
      done.lettersSent = true
      for (const { reason } of done.poison) onDeadLetters(reason.exception, 1)
      if (rejections.length > 0) onDeadLetters('ROW_REFUSED', rejections.length)
    },
  }
}

function rejectionsOf(decisions: readonly LeadDecision[]): { offset: number; reason: string }[] {
  const rejections: { offset: number; reason: string }[] = []
  for (const { offset, outcome, reason } of decisions) {
    if (outcome === 'rejected') rejections.push({ offset, reason: reason ?? 'refused' })
  }
  return rejections
}

function outcomeRecord(
  { lead, outcome, reason, duplicateOf }: LeadDecision,
  to: { readonly outcomes: OutcomeTopic; readonly decidedAtMs: number },
): OutgoingRecord {
  const { outcomes, decidedAtMs } = to
  const key = Buffer.from(lead.lead_id)
  const value = outcomes.codec.encode({
    lead_id: lead.lead_id,
    request_id: lead.request_id,
    outcome,
    reason,
    duplicate_of: duplicateOf,
    decided_at: decidedAtMs,
  })
  return {
    topic: outcomes.name,
    partition: defaultPartition(key, outcomes.partitions),
    key,
    value,
    timestamp: decidedAtMs,
  }
}
