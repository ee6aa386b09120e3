import type { GroupLag, Reconciliation, WholeLetter } from '@millrace/operations'
import type { LetterChoice, LetterPage, OperationsDesk } from '../src/operations/ports.ts'

const nowMs = Date.UTC(2026, 10, 21, 9, 30)

/** Operations in memory: letters that wait until they are put back. */
export class MemoryOperations implements OperationsDesk {
  readonly letterTopics = ['events', 'leads', 'stats', 'api-logs']
  readonly kept: WholeLetter[] = []
  readonly replayedOffsets = new Set<number>()
  readonly choices: LetterChoice[] = []
  comparison: Reconciliation = {
    fromMs: nowMs - 3_600_000,
    toMs: nowMs,
    settledMs: nowMs,
    ranAtMs: nowMs,
    tookMs: 1,
    topics: [],
  }

  async lags(): Promise<readonly GroupLag[]> {
    const partitions = [{ partition: 0, position: null, end: 5, records: 5 }]
    return [{ group: 'sink-clickhouse-events', topic: 'events', records: 5, seconds: 1.5, partitions }]
  }

  async letters(topic: string): Promise<LetterPage> {
    const letters = this.kept.filter((letter) => letter.topic === topic)
    const open = letters.map(({ offset }) => offset).filter((offset) => !this.replayedOffsets.has(offset))
    return { letters, open: new Set(open), replayed: this.replayedOffsets.size }
  }

  async letter(topic: string, offset: number): Promise<WholeLetter | undefined> {
    return this.kept.find((letter) => letter.topic === topic && letter.offset === offset)
  }

  async replay(topic: string, choice: LetterChoice) {
    this.choices.push(choice)
    const { open } = await this.letters(topic)
    const chosen = [...open].filter((offset) => choice.offsets.length === 0 || choice.offsets.includes(offset))
    for (const offset of chosen) this.replayedOffsets.add(offset)
    return { replayed: chosen.length, omitted: [] }
  }

  async reconciliation(): Promise<Reconciliation> {
    return this.comparison
  }
}
