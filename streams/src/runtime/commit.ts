import type { CommittedOffset, ProducedBatch, TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { StreamsError } from '../core/errors.ts'
import { PackedRecords } from '../core/packed-records.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { changelogRecord } from './changelog-record.ts'
import type { CommitChannel } from './commit-channel.ts'
import type { Failpoint } from './failpoint.ts'
import type { StreamTask, TaskCommit } from './task.ts'

/** What takes part in a commit: all tasks of one thread. */
export interface CommitParts {
  readonly tasks: Iterable<StreamTask>
  readonly channel: CommitChannel
  readonly names: TopicNames
  /** Every store of the topology, by its name. */
  readonly specs: ReadonlyMap<string, StoreSpec>
  readonly clock: Clock
  readonly failpoint: Failpoint
  /** Called when the tasks have said what they have to say: from then on they may process again, while the rest of the commit is under way. */
  readonly onPrepared: () => void
}

/** What a commit carried. */
export interface CommitResult {
  readonly tasks: number
  readonly records: number
  readonly changelogRecords: number
  readonly offsets: readonly (TopicPartition & CommittedOffset)[]
}

/**
 * Makes everything that the tasks did since the last commit final, or nothing of it.
 *
 * | after a crash at | the records and offsets of this commit | the stores |
 * |---|---|---|
 * | 1, 2 | are aborted; the records are processed again | hold the last commit |
 * | 3, the outcome unknown | are aborted or committed as one | hold the last commit; the rest, if any, is read from the changelog |
 * | 4 | are committed | some hold this commit, others read it from the changelog |
 *
 * At least once: after a crash between 1 and 2 the records are processed again and the changes of the first time stay.
 *
 * Throws what the broker's parts throw; then nothing of the tasks, the channel and the stores' changes may be used any more.
 */
export async function commitTasks(parts: CommitParts): Promise<CommitResult> {
  const { channel, names, failpoint } = parts

  // 1. What the tasks have to say, into the transaction.
  const prepared: Prepared[] = []
  const expiring: StreamTask[] = []
  for (const task of parts.tasks) {
    const commit = await task.prepareCommit()
    if (!commit.empty) prepared.push(send(task, commit, parts))
    else if (commit.expiredOnly) expiring.push(task)
  }
  parts.onPrepared()
  if (prepared.length === 0 && !channel.dirty) {
    await storeExpired(expiring)
    return { tasks: 0, records: 0, changelogRecords: 0, offsets: [] }
  }
  await failpoint('commit:prepared')
  const produced = (await Promise.all(prepared.map(({ sending }) => sending))).flat()
  await failpoint('commit:sent')

  // 2. The inputs' offsets, with the group's generation: refused when the tasks are not ours any more.
  const offsets: (TopicPartition & CommittedOffset)[] = []
  for (const task of prepared) offsets.push(...task.offsets)
  if (offsets.length > 0) await channel.addOffsets(offsets)
  await failpoint('commit:offsets-added')

  // 3. From here on it has happened.
  await channel.commit()
  await failpoint('commit:committed')

  // 4. The stores follow.
  const ends = new Map<string, number>()
  for (const { topic, partition, baseOffset, count } of produced) {
    // The broker does not know any more where it wrote the batch. The store keeps its former offset: a restore reads the same changes once more.
    if (baseOffset < 0) continue
    const key = `${partition} ${topic}`
    ends.set(key, Math.max(ends.get(key) ?? 0, baseOffset + count))
  }
  // One task after the other. A row on its way takes two buffers and an object for the database's binding until all of its write are there: with the
  // rows of all tasks at once more than half of the buffers had to be made anew, and the process took some 30 MiB more (docs/decisions/0008).
  for (const { task, stores } of prepared) {
    await task.committed(changelogOffsets(task, stores, { ends, names }))
    await failpoint('commit:stored')
  }
  await storeExpired(expiring)
  const records = prepared.reduce((sum, task) => sum + task.records, 0)
  const changelogRecords = prepared.reduce((sum, task) => sum + task.changelogRecords, 0)
  return { tasks: prepared.length, records, changelogRecords, offsets }
}

/** Deletes rows that are over, which go without a word in the changelog: an application that only starts and stops shows none that a restore has brought back. */
async function storeExpired(tasks: readonly StreamTask[]): Promise<void> {
  for (const task of tasks) await task.committed(noOffsets)
}

const noOffsets: ReadonlyMap<string, number> = new Map()

/** A task whose part of the commit is on its way. The records themselves are not kept: they are bytes in the producer's batches by now. */
interface Prepared {
  readonly task: StreamTask
  readonly offsets: TaskCommit['offsets']
  /** Stores with records in their changelogs. */
  readonly stores: readonly string[]
  readonly records: number
  readonly changelogRecords: number
  readonly sending: Promise<readonly ProducedBatch[]>
}

/**
 * Hands a task's records to the producer before the next task makes its own. With 100,000 keys the records of all tasks together lived long
 * enough to be copied by the garbage collector, which took more time than making them.
 */
function send(task: StreamTask, commit: TaskCommit, parts: CommitParts): Prepared {
  const changelog = changelogRecords(task, commit, parts)
  const sending = sendBoth(commit.records, changelog, parts.channel)
  sending.catch(() => undefined) // it is awaited when all tasks are prepared; until then it must not count as unhandled
  return {
    task,
    offsets: commit.offsets,
    stores: [...commit.changelog.keys()],
    records: commit.records.length,
    changelogRecords: changelog.length,
    sending,
  }
}

/** One after the other: in one array, with 100,000 keys, they would be copied for nothing. */
async function sendBoth(
  first: PackedRecords,
  second: PackedRecords,
  channel: CommitChannel,
): Promise<readonly ProducedBatch[]> {
  const sent = [first, second].filter(({ length }) => length > 0).map((records) => channel.send(records))
  return (await Promise.all(sent)).flat()
}

function changelogRecords(task: StreamTask, commit: TaskCommit, parts: CommitParts): PackedRecords {
  const records = new PackedRecords(commit.records) // about as many as there are results
  const nowMs = parts.clock.nowMs()
  for (const [store, entries] of commit.changelog) {
    const spec = parts.specs.get(store)
    if (spec === undefined)
      throw new StreamsError('INVALID_STATE', `store "${store}" is not in the topology`, { store })
    const to = { topic: parts.names.changelog(store), partition: task.partition, spec, nowMs }
    entries.forEach((entry) => {
      records.push(changelogRecord(entry, to))
    })
  }
  return records
}

function changelogOffsets(
  task: StreamTask,
  stores: readonly string[],
  produced: { readonly ends: ReadonlyMap<string, number>; readonly names: TopicNames },
): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>()
  for (const store of stores) {
    const end = produced.ends.get(`${task.partition} ${produced.names.changelog(store)}`)
    if (end !== undefined) offsets.set(store, end)
  }
  return offsets
}
