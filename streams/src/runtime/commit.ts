import type { CommittedOffset, GroupMember, TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
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
  readonly member: GroupMember
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
  const { channel, member, names, failpoint } = parts

  // 1. What the tasks have to say, into the transaction.
  const prepared: Prepared[] = []
  for (const task of parts.tasks) {
    const commit = await task.prepareCommit()
    if (!commit.empty) prepared.push({ task, commit })
  }
  parts.onPrepared()
  if (prepared.length === 0 && !channel.dirty) return { tasks: 0, records: 0, changelogRecords: 0, offsets: [] }
  await failpoint('commit:prepared')
  const records: OutgoingRecord[] = []
  for (const { task, commit } of prepared) {
    for (const record of commit.records) records.push(record)
    appendChangelog(records, { task, commit }, parts)
  }
  const produced = records.length === 0 ? [] : await channel.send(records)
  await failpoint('commit:sent')

  // 2. The inputs' offsets, with the group's generation: refused when the tasks are not ours any more.
  const offsets: (TopicPartition & CommittedOffset)[] = []
  for (const { commit } of prepared) offsets.push(...commit.offsets)
  if (offsets.length > 0) await channel.addOffsets(member, offsets)
  await failpoint('commit:offsets-added')

  // 3. From here on it has happened.
  await channel.commit()
  await failpoint('commit:committed')

  // 4. The stores follow.
  const ends = new Map<string, number>()
  for (const { topic, partition, baseOffset, count } of produced) {
    const key = `${partition} ${topic}`
    ends.set(key, Math.max(ends.get(key) ?? 0, baseOffset + count))
  }
  const stored = prepared.map(async ({ task, commit }) => {
    await task.committed(changelogOffsets(task, commit, { ends, names }))
    await failpoint('commit:stored')
  })
  // All of them, also when one has failed: nobody may write to a store any more when this function has ended.
  await Promise.allSettled(stored)
  await Promise.all(stored)
  const sent = prepared.reduce((sum, { commit }) => sum + commit.records.length, 0)
  return { tasks: prepared.length, records: sent, changelogRecords: records.length - sent, offsets }
}

interface Prepared {
  readonly task: StreamTask
  readonly commit: TaskCommit
}

function appendChangelog(records: OutgoingRecord[], { task, commit }: Prepared, parts: CommitParts): void {
  const nowMs = parts.clock.nowMs()
  for (const [store, entries] of commit.changelog) {
    const spec = parts.specs.get(store)
    if (spec === undefined)
      throw new StreamsError('INVALID_STATE', `store "${store}" is not in the topology`, { store })
    const to = { topic: parts.names.changelog(store), partition: task.partition, spec, nowMs }
    for (const entry of entries) records.push(changelogRecord(entry, to))
  }
}

function changelogOffsets(
  task: StreamTask,
  commit: TaskCommit,
  produced: { readonly ends: ReadonlyMap<string, number>; readonly names: TopicNames },
): ReadonlyMap<string, number> {
  const offsets = new Map<string, number>()
  for (const store of commit.changelog.keys()) {
    const end = produced.ends.get(`${task.partition} ${produced.names.changelog(store)}`)
    if (end !== undefined) offsets.set(store, end)
  }
  return offsets
}
