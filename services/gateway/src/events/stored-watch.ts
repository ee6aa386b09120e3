import type { OutgoingRecord } from '@millrace/streams'
import { storedIdsPerQuery, storedPollMs, storedWaitersMax, storedWaitMsMax } from '../limits.ts'
import type { EventIdentity, EventStore } from './ports.ts'

/** Waits until the event store has what was written. */
export interface StoredWatch {
  /**
   * True when the store has all marks; false when it has not within `storedWaitMsMax`, when the store does not answer, when too many wait already, and
   * when the service closes. Never rejects.
   */
  wait(marks: readonly EventIdentity[]): Promise<boolean>
  close(): void
}

/** What the watch needs of an event's record: decoded, for marks are few. */
export type ReadMark = (record: OutgoingRecord) => EventIdentity

interface Waiter {
  /** By `keyOf`. */
  readonly missing: Map<string, EventIdentity>
  readonly deadlineMs: number
  readonly settle: (isStored: boolean) => void
}

/** The store writes the months of a batch one after the other. */
const monthOf = (timestampMs: number) => new Date(timestampMs).toISOString().slice(0, 7)

/**
 * Of some records those that are enough to ask for. A partition's records are stored in their order, and of one insert a month's rows appear together:
 * so it is the last one of each partition and month.
 */
export function marksOf(records: readonly OutgoingRecord[], readMark: ReadMark): readonly EventIdentity[] {
  const last = new Map<string, EventIdentity>()
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

  function wait(marks: readonly EventIdentity[]): Promise<boolean> {
    if (isClosed || waiters.size >= storedWaitersMax) return Promise.resolve(false)
    return new Promise((settle) => {
      const missing = new Map(marks.map((mark) => [keyOf(mark), mark]))
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

  /** A row that was received earlier is of the same event when it was sent before. */
  function note(rows: readonly EventIdentity[]): void {
    const storedAt = new Map(rows.map((row) => [keyOf(row), row.receivedAtMs]))
    for (const waiter of waiters) {
      for (const [key, { receivedAtMs }] of waiter.missing) {
        const storedMs = storedAt.get(key)
        if (storedMs !== undefined && storedMs >= receivedAtMs) waiter.missing.delete(key)
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

/** Two users may use one id, and a resend another time: no control character is in ids, so a key stands for one event. */
function keyOf({ eventId, userId, eventType, timestampMs }: EventIdentity): string {
  return `${eventId}\n${userId}\n${eventType}\n${timestampMs}`
}

function rangeOf(marks: readonly EventIdentity[]) {
  const times = marks.map(({ timestampMs }) => timestampMs)
  return {
    eventIds: marks.map(({ eventId }) => eventId),
    fromMs: Math.min(...times),
    toMs: Math.max(...times),
  }
}
