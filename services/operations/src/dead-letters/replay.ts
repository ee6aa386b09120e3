import {
  type Broker,
  type OutgoingRecord,
  type RecordHeader,
  StreamsError,
  type TransactionalProducer,
} from '@millrace/streams'
import { replayBatchBytesMax, replayBatchLettersMax } from '../limits.ts'
import { placeOf, replayedHeader, replayOfHeader, type WholeLetter } from './letter.ts'
import { type LetterList, openLetters, readLetters } from './letter-log.ts'

/** Which letters go back. */
export interface ReplayChoice {
  /** Offsets in the dead-letter topic; empty for all. */
  readonly offsets: ReadonlySet<number>
  /** Only those that failed for this reason. */
  readonly exception: string | undefined
}

/** What a replay did. */
export interface ReplayReport {
  readonly replayed: number
  /** Letters that were chosen and whose value is not there any more, by their offsets. */
  readonly omitted: readonly number[]
}

/**
 * Puts records back into the partitions that they came from: key, value, headers and time as they were. Each transaction holds records and, in the dead-letter
 * topic, a mark for each: both are there or neither is, so that a replay that ended early, or is repeated, puts back nothing twice. Two at the same time: the
 * second takes the transactional id, what the first has not committed is aborted, and only then the marks are read.
 */
export async function replayLetters(broker: Broker, letterTopic: string, choice: ReplayChoice): Promise<ReplayReport> {
  const producer = await broker.openTransactionalProducer({
    clientId: 'millrace-dlq',
    transactionalId: `millrace-dlq-replay-${letterTopic}`,
  })
  try {
    const list = await readLetters(broker, letterTopic)
    const chosen = chosenLetters(list, choice)
    const batch = new ReplayBatch(producer, letterTopic)
    await readLetters(broker, letterTopic, {
      onLetter: async (letter) => {
        if (chosen.has(letter.offset) && !letter.isOmitted) await batch.add(letter)
      },
    })
    await batch.flush()
    const omitted = [...chosen.values()].filter(({ isOmitted }) => isOmitted).map(({ offset }) => offset)
    return { replayed: batch.replayed, omitted }
  } finally {
    await producer.close()
  }
}

/** What `replayLetters` would take, by offset. */
export function chosenLetters(list: LetterList, { offsets, exception }: ReplayChoice) {
  const chosen = openLetters(list).filter(
    (letter) =>
      (offsets.size === 0 || offsets.has(letter.offset)) && (exception === undefined || exception === letter.exception),
  )
  return new Map(chosen.map((letter) => [letter.offset, letter]))
}

/** Records on their way back, up to one transaction. */
class ReplayBatch {
  replayed = 0
  readonly #producer: TransactionalProducer
  readonly #letterTopic: string
  #records: OutgoingRecord[] = []
  #bytes = 0

  constructor(producer: TransactionalProducer, letterTopic: string) {
    this.#producer = producer
    this.#letterTopic = letterTopic
  }

  async add(letter: WholeLetter): Promise<void> {
    this.#records.push(recordOf(letter, this.#letterTopic), markOf(letter, this.#letterTopic))
    this.#bytes += letter.valueBytes
    if (this.#records.length >= 2 * replayBatchLettersMax || this.#bytes >= replayBatchBytesMax) await this.flush()
  }

  async flush(): Promise<void> {
    if (this.#records.length === 0) return
    try {
      await this.#producer.send(this.#records)
      await this.#producer.commit()
    } catch (error) {
      // Also when it cannot be told, the open transaction is aborted by the next replay, or by its timeout.
      await this.#producer.abort().catch((failure: unknown) => {
        if (!(failure instanceof StreamsError)) throw failure
      })
      throw error
    }
    this.replayed += this.#records.length / 2
    this.#records = []
    this.#bytes = 0
  }
}

function recordOf(letter: WholeLetter, letterTopic: string): OutgoingRecord {
  const { topic, partition, key, value, timestamp, headers, offset } = letter
  return {
    topic,
    partition,
    key,
    value,
    timestamp,
    headers: [...headers, header(replayOfHeader, `${letterTopic}-0-${offset}`)],
  }
}

function markOf(letter: WholeLetter, letterTopic: string): OutgoingRecord {
  return {
    topic: letterTopic,
    partition: 0,
    key: letter.key,
    value: null,
    timestamp: Date.now(),
    headers: [header(replayedHeader, placeOf(letter))],
  }
}

function header(key: string, text: string): RecordHeader {
  return { key, value: Buffer.from(text) }
}
