import type { OutgoingRecord } from '@millrace/streams'
import { storedIdsPerQuery, storedPollMs, storedWaitersMax, storedWaitMsMax } from '../limits.ts'
import type { EventStore } from './ports.ts'

/** An event by which the store is asked how far it is. */
export interface StoredMark {
  readonly eventId: string
  readonly timestampMs: number
  readonly receivedAtMs: number
}

/** Waits until the event store has what was written. */
export interface StoredWatch {
  /**
   * True when the store has all marks; false when it has not within `storedWaitMsMax`, when the store does not answer, when too many wait already, and
   * when the service closes. Never rejects.
   */
  wait(marks: readonly StoredMark[]): Promise<boolean>
  close(): void
}

/** What the watch needs of an event's record: decoded, for marks are few. */
export type ReadMark = (record: OutgoingRecord) => StoredMark

interface Waiter {
  readonly missing: Map<string, StoredMark>
  readonly deadlineMs: number
  readonly settle: (isStored: boolean) => void
}

/** The store writes the months of a batch one after the other. */
const monthOf = (timestampMs: number) => new Date(timestampMs).toISOString().slice(0, 7)

/**
 * Of some records those that are enough to ask for. A partition's records are stored in their order, and of one insert a month's rows appear together:
 * so it is the last one of each partition and month.
 */
export function marksOf(records: readonly OutgoingRecord[], readMark: ReadMark): readonly StoredMark[] {
  const last = new Map<string, StoredMark>()
  for (const record of records) {
    const mark = readMark(record)
    last.set(`${record.partition} ${monthOf(mark.timestampMs)}`, mark)
  }
  return [...last.values()]
}

/** Makes the watch. However many wait, the store is asked one query at a time, every `storedPollMs`. */
export function createStoredWatch(store: Pick<EventStore, 'storedSince'>, nowMs: () => number): StoredWatch {
  const waiters = new Set<Waiter>()
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  function wait(marks: readonly StoredMark[]): Promise<boolean> {
    if (isClosed || waiters.size >= storedWaitersMax) return Promise.resolve(false)
    return new Promise((settle) => {
      const missing = new Map(marks.map((mark) => [mark.eventId, mark]))
      waiters.add({ missing, deadlineMs: nowMs() + storedWaitMsMax, settle })
      timer ??= setTimeout(() => void poll(), storedPollMs)
    })
  }

  async function poll(): Promise<void> {
    const marks = [...waiters].flatMap(({ missing }) => [...missing.values()]).slice(0, storedIdsPerQuery)
    try {
      note(await store.storedSince(rangeOf(marks)))
    } catch {
      // The answer is then what is known for sure: that Kafka has the events.
      for (const waiter of waiters) finish(waiter, false)
    }
    for (const waiter of waiters) if (waiter.deadlineMs <= nowMs()) finish(waiter, false)
    timer = waiters.size === 0 || isClosed ? undefined : setTimeout(() => void poll(), storedPollMs)
  }

  /** A row of an earlier time is of an event that was sent before under the same id. */
  function note(receivedAt: ReadonlyMap<string, number>): void {
    for (const waiter of waiters) {
      for (const [id, { receivedAtMs }] of waiter.missing) {
        const storedMs = receivedAt.get(id)
        if (storedMs !== undefined && storedMs >= receivedAtMs) waiter.missing.delete(id)
      }
      if (waiter.missing.size === 0) finish(waiter, true)
    }
  }

  function finish(waiter: Waiter, isStored: boolean): void {
    waiters.delete(waiter)
    waiter.settle(isStored)
  }

  return {
    wait,
    close() {
      isClosed = true
      clearTimeout(timer)
      timer = undefined
      for (const waiter of waiters) finish(waiter, false)
    },
  }
}

function rangeOf(marks: readonly StoredMark[]) {
  const times = marks.map(({ timestampMs }) => timestampMs)
  return {
    eventIds: marks.map(({ eventId }) => eventId),
    fromMs: Math.min(...times),
    toMs: Math.max(...times),
  }
}
