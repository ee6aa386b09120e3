import type { TopicPartition } from '../core/broker.ts'
import { openTaskStore } from '../runtime/open-task-store.ts'
import type { StreamTask } from '../runtime/task.ts'
import type { ByteStore, ByteStoreProvider, TaskStore } from '../state/store.ts'
import { timestampedValue } from '../state/timestamped-value.ts'
import { windowRowKeyOfChangelog } from '../state/window-key.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Subtopology } from '../topology/topology.ts'
import type { DriverLog } from './driver-log.ts'

/** Where the tasks of a test driver live. */
export interface DriverWorld {
  readonly log: DriverLog
  readonly names: TopicNames
  readonly stores: ByteStoreProvider
}

/** A task in a test driver, with its stores and with how far it was fed. */
export class DriverTask {
  readonly task: StreamTask
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly #log: DriverLog
  readonly #fedTo = new Map<string, number>()

  constructor(task: StreamTask, stores: ReadonlyMap<string, TaskStore>, log: DriverLog) {
    this.task = task
    this.stores = stores
    this.#log = log
  }

  /** Hands the task what its inputs have and it was not yet given. */
  feed(): void {
    for (const input of this.task.inputs) {
      const fetched = this.#log.fetch(input, this.#fedTo.get(input.topic) ?? this.task.position(input.topic) ?? 0)
      if (fetched === undefined) continue
      this.#fedTo.set(input.topic, fetched.highWatermark)
      this.task.add(fetched)
    }
  }
}

/** Opens the stores of one task, brought up to their changelogs. */
export async function openRestored(
  subtopology: Subtopology,
  partition: number,
  world: DriverWorld,
): Promise<ReadonlyMap<string, TaskStore>> {
  const stores = new Map<string, TaskStore>()
  for (const spec of subtopology.stores) {
    const rows = await world.stores.open(spec.name, partition)
    const changelog = { topic: world.names.changelog(spec.name), partition }
    const changelogOffset = spec.changelog ? await restore(spec, rows, { log: world.log, changelog }) : 0
    stores.set(spec.name, openTaskStore(spec, rows, { changelogOffset }))
  }
  return stores
}

async function restore(
  spec: StoreSpec,
  rows: ByteStore,
  from: { readonly log: DriverLog; readonly changelog: TopicPartition },
): Promise<number> {
  const records = from.log.records(from.changelog)
  const behind = records.slice((await rows.changelogOffset()) ?? 0)
  if (behind.length === 0) return records.length
  const changes = behind.map(({ key, value, timestamp }) => {
    const rowKey = key ?? Buffer.alloc(0)
    return {
      key: spec.kind === 'window' ? windowRowKeyOfChangelog(rowKey) : rowKey,
      value: value === null || !spec.timestamped ? value : timestampedValue(value, timestamp),
    }
  })
  await rows.write(changes, records.length)
  return records.length
}
