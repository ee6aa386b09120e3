import type { GroupLag, Letter, Reconciliation, WholeLetter } from '@millrace/operations'

/** What a dead-letter topic holds. */
export interface LetterPage {
  readonly letters: readonly Letter[]
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

/** What operators ask. Throws what Kafka and the databases throw. */
export interface OperationsDesk {
  /** Topics that have dead letters, without `.dlq`. */
  readonly letterTopics: readonly string[]
  lags(): Promise<readonly GroupLag[]>
  letters(topic: string): Promise<LetterPage>
  letter(topic: string, offset: number): Promise<WholeLetter | undefined>
  /** Puts records back where they came from, each once however often it is asked. */
  replay(
    topic: string,
    choice: LetterChoice,
  ): Promise<{ readonly replayed: number; readonly omitted: readonly number[] }>
  /** The last hour; a run that is younger than half a minute is answered again. */
  reconciliation(): Promise<Reconciliation>
}
