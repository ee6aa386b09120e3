import { type Broker, partitionKey, RecordCursor } from '@millrace/streams'
import { OperationsError } from '../errors.ts'
import { letterPollMs, letterSilenceMsMax, lettersMax as lettersMaxDefault } from '../limits.ts'
import { type Letter, placeOf, readLetter, type WholeLetter } from './letter.ts'

/** What a dead-letter topic holds. */
export interface LetterList {
  /** In the order of the topic; a record that became a letter twice is in it twice. */
  readonly letters: readonly Letter[]
  /** Places of records that were replayed, as `placeOf` names them. */
  readonly replayed: ReadonlySet<string>
}

/** How letters are read. */
export interface LetterReading {
  /** Gets each letter with what it holds; without it, letters are listed without. */
  readonly onLetter?: (letter: WholeLetter) => Promise<void>
  /** Longer lists are refused. Default 200,000. */
  readonly lettersMax?: number
}

/**
 * Reads a dead-letter topic from its beginning to its present end, committed records only, and hands each letter to `onLetter`; without it, they are listed without
 * what they hold. Throws `TOPIC_MISSING`, `TOPIC_SILENT` when nothing comes before its end, `TOO_MUCH` when it holds more than a list may have.
 */
export async function readLetters(
  broker: Broker,
  topic: string,
  { onLetter, lettersMax = lettersMaxDefault }: LetterReading = {},
): Promise<LetterList> {
  const of = { topic, partition: 0 }
  const { start, end } = await boundsOf(broker, topic)
  const letters: Letter[] = []
  const replayed = new Set<string>()
  const fetcher = await broker.openFetcher({ clientId: 'millrace-dlq' })
  const cursor = new RecordCursor()
  try {
    fetcher.seek({ ...of, offset: start })
    let lastMs = performance.now()
    while ((fetcher.position(of) ?? end) < end) {
      for (const fetched of await fetcher.poll(letterPollMs)) {
        lastMs = performance.now()
        cursor.reset(fetched)
        while (cursor.next()) {
          const read = readLetter(cursor)
          if (read === undefined) continue
          if ('replayed' in read) replayed.add(read.replayed)
          else if (onLetter !== undefined) await onLetter(read)
          else letters.push(withoutContent(read))
        }
      }
      if (letters.length > lettersMax)
        throw new OperationsError(
          'TOO_MUCH',
          `${topic} holds more than ${lettersMax} letters: look at the table dead_letters`,
        )
      if (performance.now() - lastMs > letterSilenceMsMax)
        throw new OperationsError(
          'TOPIC_SILENT',
          `${topic} brings nothing more before its end at offset ${end}: try again`,
        )
    }
    return { letters, replayed }
  } finally {
    await fetcher.close()
  }
}

/** The letter at an offset of a dead-letter topic, with what it holds; undefined when there is none. Throws as `readLetters` does. */
export async function findLetter(broker: Broker, topic: string, offset: number): Promise<WholeLetter | undefined> {
  let found: WholeLetter | undefined
  await readLetters(broker, topic, {
    onLetter: async (letter) => {
      if (letter.offset === offset) found = letter
    },
  })
  return found
}

/** The letters that a replay would take: each record once, none that was replayed. */
export function openLetters({ letters, replayed }: LetterList): readonly Letter[] {
  const seen = new Set(replayed)
  return letters.filter((letter) => {
    const place = placeOf(letter)
    if (seen.has(place)) return false
    seen.add(place)
    return true
  })
}

async function boundsOf(broker: Broker, topic: string): Promise<{ readonly start: number; readonly end: number }> {
  const of = { topic, partition: 0 }
  const admin = await broker.openAdmin()
  try {
    if (!(await admin.describeTopics([topic])).has(topic))
      throw new OperationsError('TOPIC_MISSING', `there is no topic ${topic}`)
    const starts = await admin.listOffsets([of], 'earliest')
    const ends = await admin.listOffsets([of], 'latestCommitted')
    return { start: starts.get(partitionKey(of)) ?? 0, end: ends.get(partitionKey(of)) ?? 0 }
  } finally {
    await admin.close()
  }
}

function withoutContent(letter: WholeLetter): Letter {
  const { offset, topic, partition, originalOffset, exception, message, timestamp, valueBytes, isOmitted } = letter
  return { offset, topic, partition, originalOffset, exception, message, timestamp, valueBytes, isOmitted }
}
