import { type Broker, deadLetterHeaders, partitionKey, RecordCursor } from '@millrace/streams'
import { partitionsOf } from '../engine/topic-log.ts'

/** A dead letter as its topic has it. */
export interface FoundLetter {
  /** In the dead-letter topic. */
  readonly offset: number
  /** Where its record was: `topic-partition-offset`. */
  readonly place: string
  readonly reason: string
  readonly value: Buffer | null
  /** When it was seen here. */
  readonly seenMs: number
}

/** Those of KIP-1034: every letter has them. */
const headerNames = Object.values(deadLetterHeaders).filter((name) => name.startsWith('__streams.errors.'))

/** One name for a record. */
export function placeOf(topic: string, partition: number, offset: number): string {
  return `${topic}-${partition}-${offset}`
}

/** Follows a dead-letter topic from where it ends now. */
export class LetterReader {
  /** By the place of their records; of several the first. */
  readonly letters = new Map<string, FoundLetter>()
  /** How many letters a record has: one of each consumer that could not read it. */
  readonly counts = new Map<string, number>()
  /** Letters without all the headers that say where they are from. */
  headless = 0
  #isStopped = false
  #running: Promise<void> = Promise.resolve()

  static async follow(broker: Broker, topic: string): Promise<LetterReader> {
    const reader = new LetterReader()
    const all = await partitionsOf(broker, topic)
    const admin = await broker.openAdmin()
    const ends = await admin.listOffsets(all, 'latest')
    await admin.close()
    const fetcher = await broker.openFetcher({ clientId: 'letters' })
    fetcher.assign(all.map((of) => ({ ...of, offset: ends.get(partitionKey(of)) ?? 0 })))
    reader.#running = reader.#read(fetcher)
    return reader
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #read(fetcher: Awaited<ReturnType<Broker['openFetcher']>>): Promise<void> {
    const cursor = new RecordCursor()
    try {
      while (!this.#isStopped) {
        for (const fetched of await fetcher.poll(50)) {
          cursor.reset(fetched)
          while (cursor.next()) this.#note(cursor)
        }
      }
    } finally {
      await fetcher.close()
    }
  }

  #note(cursor: RecordCursor): void {
    const headers = new Map(cursor.headers().map(({ key, value }) => [key, value?.toString('utf8') ?? '']))
    const { topic, partition, offset, exception } = deadLetterHeaders
    // A mark that a record was put back has none of them.
    if (!headers.has(topic)) return
    if (headerNames.some((name) => !headers.has(name))) this.headless++
    const place = placeOf(headers.get(topic) ?? '', Number(headers.get(partition)), Number(headers.get(offset)))
    this.counts.set(place, (this.counts.get(place) ?? 0) + 1)
    if (this.letters.has(place)) return
    const { valueStart, valueEnd, bytes } = cursor
    this.letters.set(place, {
      offset: cursor.offset,
      place,
      reason: headers.get(exception) ?? '',
      value: valueStart < 0 ? null : Buffer.from(bytes.subarray(valueStart, valueEnd)),
      seenMs: Date.now(),
    })
  }
}
