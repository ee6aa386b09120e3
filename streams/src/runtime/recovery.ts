import {
  type Admin,
  type Broker,
  type FetchedBatches,
  type Fetcher,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import type { ByteStore, Change } from '../state/store.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { changeOf } from './changelog-record.ts'
import {
  pollWaitMsMax,
  restoreChangesMax,
  restorePartitionBytesMax,
  restoreReportMs,
  restoreStallMsMax,
} from './limits.ts'

/** One store of one task, to be brought up to its changelog. */
export interface RestoreJob {
  readonly spec: StoreSpec
  readonly rows: ByteStore
  readonly changelog: TopicPartition
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
}

/**
 * Reads each changelog from the offset that its store holds to the end that it has now, as one who reads committed records only. Returns each
 * store's offset then, by `partitionKey` of its changelog; undefined when it was interrupted.
 *
 * Call after the committed offsets of the tasks were read: whatever they count is in the log by then, if not yet marked as committed, and
 * the end is reached only when every transaction before it has ended. Positions are compared, not records, so that markers and compacted
 * gaps do not hang it. Throws `TIMED_OUT` when nothing arrives for longer than a transaction can stay open.
 *
 * A store whose offset lies outside its changelog is wiped and read from the start: the topic was made anew, or records were deleted by hand.
 * But records of a window store's changelog are deleted by age, and then its rows are kept: those that are over expire with stream time.
 */
export async function restoreStores(
  jobs: readonly RestoreJob[],
  parts: RestoreParts,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (jobs.length === 0) return new Map()
  const stores = await openJobs(jobs, parts)
  const behind = stores.filter((store) => store.position < store.end)
  if (behind.length > 0) {
    const fetcher = await parts.broker.openFetcher({
      clientId: `${parts.clientId}-restore`,
      partitionBytesMax: restorePartitionBytesMax,
    })
    try {
      if (!(await readAll(behind, fetcher, parts))) return undefined
    } finally {
      await fetcher.close()
    }
  }
  return new Map(stores.map((store) => [partitionKey(store.job.changelog), store.position]))
}

interface RestoringStore {
  readonly job: RestoreJob
  position: number
  readonly end: number
  changes: Change[]
}

async function openJobs(jobs: readonly RestoreJob[], parts: RestoreParts): Promise<readonly RestoringStore[]> {
  const changelogs = jobs.map(({ changelog }) => changelog)
  const [starts, ends] = [
    await parts.admin.listOffsets(changelogs, 'earliest'),
    await parts.admin.listOffsets(changelogs, 'latest'),
  ]
  const stores: RestoringStore[] = []
  for (const job of jobs) {
    const start = starts.get(partitionKey(job.changelog)) ?? 0
    const end = ends.get(partitionKey(job.changelog)) ?? 0
    const position = await startOf(job, { start, end }, parts.logger)
    stores.push({ job, position, end, changes: [] })
  }
  return stores
}

/** Where to read on. */
async function startOf(
  job: RestoreJob,
  log: { readonly start: number; readonly end: number },
  logger: Logger,
): Promise<number> {
  const known = await job.rows.changelogOffset()
  if (known === undefined) return log.start
  if (known >= log.start && known <= log.end) return known
  const place = { store: job.spec.name, ...job.changelog, offset: known, first_offset: log.start, last_offset: log.end }
  if (known < log.start && job.spec.kind === 'window') {
    logger.info(place, 'the changelog was deleted by age beyond the offset of the store: going on from its start')
    return log.start
  }
  logger.warn(place, 'the changelog does not hold the offset of the store: the store is wiped and read from the start')
  await job.rows.wipe()
  return log.start
}

/** False when it was interrupted. */
async function readAll(stores: readonly RestoringStore[], fetcher: Fetcher, parts: RestoreParts): Promise<boolean> {
  const unfinished = new Map(stores.map((store) => [partitionKey(store.job.changelog), store]))
  fetcher.assign(stores.map(({ job, position }) => ({ ...job.changelog, offset: position })))
  const report = new RestoreReport(stores, parts)
  const cursor = new RecordCursor()
  let lastArrivalMs = parts.clock.nowMs()
  while (unfinished.size > 0) {
    if (parts.interrupted()) return false
    const fetched = await poll(fetcher, parts)
    let moved = false
    for (const batches of fetched) {
      const store = unfinished.get(partitionKey(batches))
      if (store !== undefined) report.add(collect(store, batches, cursor))
    }
    for (const [key, store] of unfinished) {
      const position = fetcher.position(store.job.changelog) ?? store.position
      if (position > store.position) {
        moved = true
        store.position = position
      }
      if (position < store.end && store.changes.length < restoreChangesMax) continue
      await write(store)
      if (position < store.end) continue
      unfinished.delete(key)
      fetcher.remove([store.job.changelog])
    }
    const nowMs = parts.clock.nowMs()
    if (moved) lastArrivalMs = nowMs
    else if (nowMs - lastArrivalMs > restoreStallMsMax) throw stalled([...unfinished.values()], nowMs - lastArrivalMs)
    report.tell(nowMs)
  }
  report.done(parts.clock.nowMs())
  return true
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

/** Appends the records' changes to the store's; returns how many. */
function collect(store: RestoringStore, batches: FetchedBatches, cursor: RecordCursor): number {
  const before = store.changes.length
  cursor.reset(batches)
  while (cursor.next()) {
    const change = changeOf(cursor, store.job.spec)
    if (change !== undefined) store.changes.push(change)
  }
  return store.changes.length - before
}

async function write(store: RestoringStore): Promise<void> {
  const { changes } = store
  store.changes = []
  await store.job.rows.write(changes, store.position)
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
  #records = 0
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

  add(records: number): void {
    this.#records += records
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
    return {
      stores: this.#stores.length,
      records: this.#records,
      remaining,
      recordsPerSecond: Math.round(this.#records / seconds),
      secondsLeft: passedPerSecond > 0 ? Math.ceil(remaining / passedPerSecond) : undefined,
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
