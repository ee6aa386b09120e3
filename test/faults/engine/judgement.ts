import { setTimeout as delay } from 'node:timers/promises'
import { type Broker, partitionKey } from '@millrace/streams'
import { FaultError } from '../fault-error.ts'
import { type CheckResult, checkFinals, checkGrowth, checkLiveReader, compareTables, lastResults } from './checks.ts'
import type { EventSource } from './event-source.ts'
import type { Instances } from './instances.ts'
import { drainDeadlineMs } from './limits.ts'
import { type LiveReader, readRecord } from './live-reader.ts'
import { sqlTotals } from './sql-totals.ts'
import { checkStores } from './store-rows.ts'
import { partitionsOf, type ReadRecord, readCommitted } from './topic-log.ts'
import { inputTopic, resultsTopic, ways, writtenTopics } from './topology.ts'

/** A run whose instances have closed. */
export interface EndedRun {
  readonly broker: Broker
  readonly source: EventSource
  readonly reader: LiveReader
  readonly instances: Instances
  /** What the log has of the results, by partition. */
  readonly results: readonly (readonly ReadRecord[])[]
}

const pollMs = 500

/** Everything that must hold in the end. */
export async function judge(run: EndedRun): Promise<readonly CheckResult[]> {
  const { broker, source, reader, instances, results } = run
  await readerAtEnd(reader, results)
  const { totals, events } = await sqlTotals(broker, inputTopic)
  const sent = { name: 'the generator', table: source.totals }
  const sql = { name: 'SQL', table: totals }
  const processes = instances.slots.map(({ process }) => process)
  return [
    compareTables(`the input is what was sent (${events} events)`, sent, sql),
    ...ways.map((way) => {
      const last = { name: 'the result', table: lastResults(results, way) }
      return compareTables(`the results from ${way} are those of SQL over the input`, last, sql)
    }),
    await checkStores(processes, totals, source.streamTimeMs),
    checkGrowth('no total goes down in the log', results),
    checkGrowth('no total went down for the subscriber', reader.seen),
    checkLiveReader(reader.seen, results),
    checkFinals(results, source.streamTimeMs),
    droppedRecords(instances),
    await openTransactions(broker),
  ]
}

/** What the log has of the results, by partition. */
export function readResults(broker: Broker): Promise<ReadRecord[][]> {
  return readCommitted(broker, resultsTopic, readRecord)
}

/** The subscriber, too, comes to the end: no open transaction holds it up. */
async function readerAtEnd(reader: LiveReader, results: EndedRun['results']): Promise<void> {
  const endMs = Date.now() + drainDeadlineMs
  const lastOf = (records: readonly ReadRecord[] | undefined) => records?.at(-1)?.offset ?? -1
  while (results.some((records, partition) => lastOf(reader.seen[partition]) < lastOf(records))) {
    if (Date.now() > endMs) {
      throw new FaultError(`the subscriber did not come to the end of the results within ${drainDeadlineMs / 1_000} s`)
    }
    await delay(pollMs)
  }
}

function droppedRecords(instances: Instances): CheckResult {
  const dropped = instances.reports('dropped').map(({ reason, records }) => `${records} records: ${reason}`)
  return { title: 'no record is dropped', looked: `${instances.all.length} processes`, broken: dropped }
}

/** Partitions where readers of committed records do not come to the end. */
async function openTransactions(broker: Broker): Promise<CheckResult> {
  const all = (await Promise.all(writtenTopics.map((topic) => partitionsOf(broker, topic)))).flat()
  const admin = await broker.openAdmin()
  try {
    const committed = await admin.listOffsets(all, 'latestCommitted')
    const latest = await admin.listOffsets(all, 'latest')
    const open = all
      .map(partitionKey)
      .filter((key) => committed.get(key) !== latest.get(key))
      .map((key) => `${key} is readable up to ${committed.get(key)} of ${latest.get(key)}`)
    return { title: 'no transaction is left open', looked: `${all.length} partitions`, broken: open }
  } finally {
    await admin.close()
  }
}
