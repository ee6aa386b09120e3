import { type Admin, type Broker, type FetchedBatches, type Fetcher, partitionKey } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import { PackedChanges } from '../state/packed-changes.ts'
import { ScratchBuffers } from '../state/scratch-buffers.ts'
import { boundsOf, type ChangelogCopy, changelogBounds, collectChanges, startOffset } from './changelog-copy.ts'
import type { ChangeBuffers } from './changelog-record.ts'
import type { Failpoint } from './failpoint.ts'
import {
  pollWaitMsMax,
  restoreChangesMax,
  restorePartitionBytesMax,
  restoreReportMs,
  restoreStallMsMax,
} from './limits.ts'

/** One store of one task, to be brought up to its changelog. */
export interface RestoreJob extends ChangelogCopy {
  readonly taskId: string
}

/** How far a restore is. */
export interface RestoreProgress {
  readonly stores: number
  readonly records: number
  /** Offsets still to be passed; markers and compacted records count, too. */
  readonly remaining: number
  readonly recordsPerSecond: number
  /** At the rate so far; undefined while there is none. */
  readonly secondsLeft: number | undefined
  /** Each store with what it has taken and lacks. */
  readonly perStore: readonly StoreRestore[]
}

/** How far the restore of one store is. */
export interface StoreRestore {
  readonly taskId: string
  readonly store: string
  readonly partition: number
  readonly records: number
  readonly remaining: number
}

/** What a restore works with. */
export interface RestoreParts {
  readonly broker: Broker
  readonly admin: Admin
  readonly clientId: string
  readonly clock: Clock
  readonly logger: Logger
  /** Asked between polls: true ends the restore early, with what was read so far kept. */
  readonly interrupted: () => boolean
  readonly onProgress: (progress: RestoreProgress) => void
  /** Called once for every store when it is complete, with the changelog offset that it then holds. */
  readonly onRestored?: (job: RestoreJob, offset: number) => Promise<void>
  readonly failpoint?: Failpoint
}

/**
 * Reads each changelog from the offset that its store holds to the end that it has now, as one who reads committed records only. Returns each
 * store's offset then, by `partitionKey` of its changelog; undefined when it was interrupted.
 *
 * Call after the committed offsets of the tasks were read: whatever they count is in the log by then, if not yet marked as committed, and
 * the end is reached only when every transaction before it has ended. Positions are compared, not records, so that markers and compacted
 * gaps do not hang it. Throws `TIMED_OUT` when nothing arrives for longer than a transaction can stay open.
 */
export async function restoreStores(
  jobs: readonly RestoreJob[],
  parts: RestoreParts,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (jobs.length === 0) return new Map()
  const stores = await openJobs(jobs, parts)
  const behind = stores.filter((store) => store.position < store.end)
  for (const store of stores) if (!behind.includes(store)) await parts.onRestored?.(store.job, store.position)
  if (behind.length > 0) {
    const fetcher = await parts.broker.openFetcher({
      clientId: `${parts.clientId}-restore`,
      partitionBytesMax: restorePartitionBytesMax,
    })
    try {
      if (!(await readAll(behind, fetcher, parts))) return undefined
    } finally {
      // Nobody may write to a store any more when this function has ended.
      await Promise.allSettled(behind.map(({ writing }) => writing))
      await fetcher.close()
    }
  }
  return new Map(stores.map((store) => [partitionKey(store.job.changelog), store.position]))
}

/** What reads one fetch after the other. */
interface Reading {
  readonly cursor: RecordCursor
  readonly scratch: ChangeBuffers
}

interface RestoringStore {
  readonly job: RestoreJob
  position: number
  readonly end: number
  records: number
  changes: PackedChanges
  /** The write under way. */
  writing: Promise<void>
}

async function openJobs(jobs: readonly RestoreJob[], parts: RestoreParts): Promise<readonly RestoringStore[]> {
  const bounds = await changelogBounds(
    jobs.map(({ changelog }) => changelog),
    parts.admin,
  )
  const stores: RestoringStore[] = []
  for (const job of jobs) {
    const log = boundsOf(job.changelog, bounds)
    const position = await startOffset(job, log, parts.logger)
    stores.push({ job, position, end: log.end, records: 0, changes: new PackedChanges(), writing: Promise.resolve() })
  }
  return stores
}

/** False when it was interrupted. */
async function readAll(stores: readonly RestoringStore[], fetcher: Fetcher, parts: RestoreParts): Promise<boolean> {
  const unfinished = new Map(stores.map((store) => [partitionKey(store.job.changelog), store]))
  fetcher.assign(stores.map(({ job, position }) => ({ ...job.changelog, offset: position })))
  const report = new RestoreReport(stores, parts)
  const reading = { cursor: new RecordCursor(), scratch: { keys: new ScratchBuffers(), values: new ScratchBuffers() } }
  let lastArrivalMs = parts.clock.nowMs()
  report.tell(lastArrivalMs)
  while (unfinished.size > 0) {
    if (parts.interrupted()) {
      for (const store of unfinished.values()) if (store.changes.length > 0) await beginWrite(store, parts)
      await Promise.all([...unfinished.values()].map(({ writing }) => writing))
      return false
    }
    const fetched = await poll(fetcher, parts)
    for (const batches of fetched) {
      const store = unfinished.get(partitionKey(batches))
      if (store === undefined) continue
      store.records += collect(store, batches, reading)
      // Records that are in memory already come without a wait: the tasks that run beside have their turn.
      await new Promise((resolve) => setImmediate(resolve))
    }
    const moved = moveOn(unfinished.values(), fetcher)
    const nowMs = parts.clock.nowMs()
    report.tell(nowMs)
    for (const [key, store] of unfinished) {
      const isDone = store.position >= store.end
      if (!isDone && store.changes.length < restoreChangesMax) continue
      await beginWrite(store, parts)
      if (!isDone) continue
      await store.writing
      unfinished.delete(key)
      fetcher.remove([store.job.changelog])
      await parts.onRestored?.(store.job, store.position)
    }
    if (moved) lastArrivalMs = nowMs
    else if (nowMs - lastArrivalMs > restoreStallMsMax) throw stalled([...unfinished.values()], nowMs - lastArrivalMs)
  }
  report.done(parts.clock.nowMs())
  return true
}

/** Takes over how far the fetcher is, markers and gaps included; true when it has moved. */
function moveOn(stores: Iterable<RestoringStore>, fetcher: Fetcher): boolean {
  let moved = false
  for (const store of stores) {
    const position = fetcher.position(store.job.changelog) ?? store.position
    if (position <= store.position) continue
    store.position = position
    moved = true
  }
  return moved
}

async function poll(fetcher: Fetcher, parts: RestoreParts): Promise<readonly FetchedBatches[]> {
  try {
    return await fetcher.poll(pollWaitMsMax)
  } catch (error) {
    // Retention has deleted what we were about to read: the next attempt finds the store outside its changelog.
    if (hasCode(error, 'OFFSET_OUT_OF_RANGE')) {
      parts.logger.warn({ err: error }, 'the changelog was shortened while it was read')
      throw new StreamsError('TIMED_OUT', 'the changelog was shortened while it was read', { cause: error })
    }
    throw error
  }
}

function collect({ job, changes }: RestoringStore, batches: FetchedBatches, by: Reading): number {
  return collectChanges(batches, by.cursor, { spec: job.spec, changes, scratch: by.scratch })
}

/** The database writes on threads of its own: the next records are read meanwhile. One write at a time per store, so that memory stays bounded. */
async function beginWrite(store: RestoringStore, { failpoint }: RestoreParts): Promise<void> {
  await store.writing
  const { changes, position } = store
  store.changes = new PackedChanges(changes)
  store.writing = store.job.rows.write(changes, position).then(() => failpoint?.('recovery:written'))
  store.writing.catch(() => undefined) // its error is met by whoever waits for it next; until then it must not count as unhandled
}

function stalled(stores: readonly RestoringStore[], waitedMs: number): StreamsError {
  const where = stores
    .slice(0, 5)
    .map(({ job, position, end }) => `${partitionKey(job.changelog)} at ${position} of ${end}`)
    .join(', ')
  return new StreamsError(
    'TIMED_OUT',
    `nothing was read from ${stores.length} changelogs for ${waitedMs} ms (${where}): a transaction there does not end, or the broker does not answer`,
  )
}

/** Counts, and tells every few seconds. */
class RestoreReport {
  readonly #stores: readonly RestoringStore[]
  readonly #parts: RestoreParts
  readonly #startedMs: number
  #toldMs: number
  #remainingAtStart: number

  constructor(stores: readonly RestoringStore[], parts: RestoreParts) {
    this.#stores = stores
    this.#parts = parts
    this.#startedMs = parts.clock.nowMs()
    this.#toldMs = this.#startedMs
    this.#remainingAtStart = this.#remaining()
    parts.logger.info(
      { stores: stores.length, remaining: this.#remainingAtStart },
      'restoring stores from their changelogs',
    )
  }

  tell(nowMs: number): void {
    const progress = this.#progress(nowMs)
    this.#parts.onProgress(progress)
    if (nowMs - this.#toldMs < restoreReportMs) return
    this.#toldMs = nowMs
    this.#parts.logger.info(fieldsOf(progress), 'restoring')
  }

  done(nowMs: number): void {
    const progress = this.#progress(nowMs)
    this.#parts.onProgress(progress)
    this.#parts.logger.info({ ...fieldsOf(progress), duration_ms: nowMs - this.#startedMs }, 'stores restored')
  }

  #progress(nowMs: number): RestoreProgress {
    const seconds = Math.max(nowMs - this.#startedMs, 1) / 1_000
    const remaining = this.#remaining()
    const passedPerSecond = (this.#remainingAtStart - remaining) / seconds
    const records = this.#stores.reduce((sum, store) => sum + store.records, 0)
    return {
      stores: this.#stores.length,
      records,
      remaining,
      recordsPerSecond: Math.round(records / seconds),
      secondsLeft: passedPerSecond > 0 ? Math.ceil(remaining / passedPerSecond) : undefined,
      perStore: this.#stores.map(({ job, records, position, end }) => ({
        taskId: job.taskId,
        store: job.spec.name,
        partition: job.changelog.partition,
        records,
        remaining: Math.max(end - position, 0),
      })),
    }
  }

  #remaining(): number {
    return this.#stores.reduce((sum, { position, end }) => sum + Math.max(end - position, 0), 0)
  }
}

function fieldsOf(progress: RestoreProgress): Readonly<Record<string, unknown>> {
  return {
    stores: progress.stores,
    records: progress.records,
    remaining: progress.remaining,
    records_per_second: progress.recordsPerSecond,
    seconds_left: progress.secondsLeft ?? null,
  }
}
