import { createCodec } from '@millrace/schemas'
import {
  type Broker,
  type Fetcher,
  type OutgoingRecord,
  type Producer,
  partitionOfKey,
  RecordCursor,
} from '@millrace/streams'
import { BenchError } from '../bench-error.ts'
import { eventTypes, fullEvent, userCount, windowSizeMs } from './event-shape.ts'
import { eventSchemaId, partitionCount } from './input-topic.ts'
import { type Percentiles, percentilesOf } from './percentiles.ts'
import { partitionCountsSerde, type Topics } from './topologies.ts'

/** Steady input. */
export const eventsPerSecond = 20_000

/** Before anything counts: compilers and connections become warm. */
const warmUpMs = 5_000

/** Between two sends: a gateway's batches are about as small. */
const tickMs = 5

/** What was sent last must be readable after this long. */
const tailDeadlineMs = 10_000

/** What is measured with. */
export interface LatencyOptions {
  readonly broker: Broker
  readonly topics: Topics
  readonly seconds: number
  readonly signal: AbortSignal
}

/**
 * Sends events steadily and reads the results as one who reads committed records only. An event's latency begins before the call that sends
 * it, and ends when the first result that has counted it was polled; both clocks are this process's. Throws a `BenchError` when not every
 * event came back in a result.
 */
export async function measureLatency({ broker, topics, seconds, signal }: LatencyOptions): Promise<Percentiles> {
  const producer = await broker.openProducer({ clientId: 'bench-latency' })
  const fetcher = await broker.openFetcher({ clientId: 'bench-latency' })
  const measuredFromMs = performance.now() + warmUpMs
  const arrivals = new Arrivals(measuredFromMs)
  const stopReading = new AbortController()
  const reading = readResults(fetcher, { topic: topics.output, arrivals, signal: stopReading.signal })
  try {
    await sendSteadily(producer, { topic: topics.input, arrivals, untilMs: measuredFromMs + seconds * 1_000, signal })
    const deadlineMs = performance.now() + tailDeadlineMs
    while (arrivals.missing > 0 && performance.now() < deadlineMs) await sleep(tickMs)
    if (arrivals.missing > 0)
      throw new BenchError(
        `latency: ${arrivals.missing} events are in no result ${tailDeadlineMs / 1_000} s after the last`,
      )
    return percentilesOf(arrivals.latenciesMs)
  } finally {
    stopReading.abort()
    await reading
    await fetcher.close()
    await producer.close()
  }
}

/** When events were sent, and which of them a result knows of: those of one partition, type and window are counted in their order. */
class Arrivals {
  readonly latenciesMs: number[] = []
  missing = 0
  readonly #measuredFromMs: number
  readonly #waiting = new Map<string, Queue[]>()

  constructor(measuredFromMs: number) {
    this.#measuredFromMs = measuredFromMs
  }

  sent(row: string, partition: number, atMs: number): void {
    this.#queue(row, partition).sentMs.push(atMs)
    this.missing++
  }

  /** A result of this row says how many events of each partition it has counted. */
  counted(row: string, counts: Uint32Array, atMs: number): void {
    for (let partition = 0; partition < counts.length; partition++) {
      const queue = this.#queue(row, partition)
      for (; queue.seen < (counts[partition] ?? 0); queue.seen++) {
        const sentMs = queue.sentMs[queue.seen]
        if (sentMs === undefined) throw new BenchError(`latency: row ${row} has counted events that were never sent`)
        this.missing--
        if (sentMs >= this.#measuredFromMs) this.latenciesMs.push(atMs - sentMs)
      }
    }
  }

  #queue(row: string, partition: number): Queue {
    let queues = this.#waiting.get(row)
    if (queues === undefined) {
      queues = Array.from({ length: partitionCount }, () => ({ sentMs: [], seen: 0 }))
      this.#waiting.set(row, queues)
    }
    const queue = queues[partition]
    if (queue === undefined) throw new BenchError(`latency: there is no partition ${partition}`)
    return queue
  }
}

interface Queue {
  readonly sentMs: number[]
  seen: number
}

async function sendSteadily(
  producer: Producer,
  of: {
    readonly topic: string
    readonly arrivals: Arrivals
    readonly untilMs: number
    readonly signal: AbortSignal
  },
): Promise<void> {
  const { topic, arrivals, untilMs, signal } = of
  const codec = createCodec('event', eventSchemaId)
  const startMs = performance.now()
  const sends: Promise<unknown>[] = []
  let sent = 0
  for (let nowMs = startMs; nowMs < untilMs; nowMs = performance.now()) {
    signal.throwIfAborted()
    const due = Math.floor(((nowMs - startMs) * eventsPerSecond) / 1_000)
    const records: OutgoingRecord[] = []
    const timestamp = Date.now()
    const windowMs = timestamp - (timestamp % windowSizeMs)
    for (; sent < due; sent++) {
      const user = Math.imul(sent, 0x9e3779b1) >>> 0
      const key = Buffer.from(`user-${user % userCount}`)
      const partition = partitionOfKey(key, partitionCount)
      const type = sent % eventTypes.length
      const event = fullEvent({ user: user % userCount, type, atMs: 0, value: partition }, timestamp, sent)
      records.push({ topic, partition, key, value: codec.encode(event), timestamp })
      arrivals.sent(`${event.event_type}@${windowMs}`, partition, nowMs)
    }
    if (records.length > 0) sends.push(producer.send(records))
    await sleep(tickMs)
  }
  await Promise.all(sends)
}

async function readResults(
  fetcher: Fetcher,
  of: { readonly topic: string; readonly arrivals: Arrivals; readonly signal: AbortSignal },
): Promise<void> {
  const { topic, arrivals, signal } = of
  fetcher.assign(Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition, offset: 0 })))
  const cursor = new RecordCursor()
  while (!signal.aborted) {
    const fetched = await fetcher.poll(100)
    const nowMs = performance.now()
    for (const batches of fetched) {
      cursor.reset(batches)
      while (cursor.next()) {
        const row = cursor.bytes.toString('utf8', cursor.keyStart, cursor.keyEnd)
        arrivals.counted(row, partitionCountsSerde.read(cursor.bytes, cursor.valueStart, cursor.valueEnd), nowMs)
      }
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
