/** A letter as it is listed: where its record is from, and why it is one. Nothing of what the record holds. */
export interface ListedLetter {
  /** In the dead-letter topic. */
  readonly offset: number
  readonly topic: string
  readonly partition: number
  readonly originalOffset: number
  readonly exception: string
  readonly message: string
  readonly valueBytes: number
  /** UNIX milliseconds; −1 when the record has none. */
  readonly timestamp: number
  /** The value was too large to be kept. */
  readonly isOmitted: boolean
}

/** A letter with what it holds. */
export interface ShownLetter extends ListedLetter {
  readonly key: Buffer | null
  readonly value: Buffer | null
}

/** What a dead-letter topic holds. */
export interface LetterPage {
  readonly letters: readonly ListedLetter[]
  /** Offsets of the letters that wait. */
  readonly open: ReadonlySet<number>
  /** Records that were put back. */
  readonly replayed: number
}

/** Which letters go back: all of no offsets, and of no reason. */
export interface LetterChoice {
  readonly offsets: readonly number[]
  readonly reason: string | undefined
}

/** How far a group is behind. */
export interface ListedLag {
  readonly group: string
  readonly topic: string
  readonly records: number
  readonly seconds: number
  readonly partitions: readonly {
    readonly partition: number
    readonly position: number | null
    readonly end: number
    readonly records: number
  }[]
}

/** One minute of a topic. */
export interface ComparedMinute {
  readonly minuteMs: number
  readonly isSettled: boolean
  readonly acknowledged: number | null
  readonly kafka: number
  readonly processed: number | null
  readonly stored: number
  readonly resent: number
  readonly deadLettered: number
  readonly waiting: number
  readonly missing: number
  readonly doubled: number
}

/** The stages at which records can be missing. */
export const comparedStages = ['gateway', 'store', 'waiting', 'processor'] as const

/** One topic compared with its store. */
export interface ComparedTopic {
  readonly topic: string
  readonly store: 'clickhouse' | 'mysql'
  readonly minutes: readonly ComparedMinute[]
  readonly differences: readonly {
    readonly stage: (typeof comparedStages)[number]
    readonly minuteMs: number
    readonly records: number
    readonly partition: number | null
    readonly firstOffset: number | null
    readonly nextOffset: number | null
  }[]
  readonly totals: Readonly<Record<(typeof comparedStages)[number], number>>
  readonly isComplete: boolean
}

/** All of them, at one time. */
export interface Comparison {
  readonly fromMs: number
  readonly toMs: number
  readonly settledMs: number
  readonly ranAtMs: number
  readonly tookMs: number
  readonly topics: readonly ComparedTopic[]
}

/** What operators ask. Throws what Kafka and the databases throw. */
export interface OperationsDesk {
  /** Topics that have dead letters, without `.dlq`. */
  readonly letterTopics: readonly string[]
  lags(): Promise<readonly ListedLag[]>
  letters(topic: string): Promise<LetterPage>
  letter(topic: string, offset: number): Promise<ShownLetter | undefined>
  /** Puts records back where they came from, each once however often it is asked. */
  replay(
    topic: string,
    choice: LetterChoice,
  ): Promise<{ readonly replayed: number; readonly omitted: readonly number[] }>
  /** The last hour; a run that is younger than half a minute is answered again. */
  reconciliation(): Promise<Comparison>
}
