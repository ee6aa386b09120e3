import { spillPauseMsMax } from '../limits.ts'

/** One step of the replay: how long it took, what it brought to Kafka, and by how much the log is shorter than before. */
export interface ReplayStep {
  readonly tookMs: number
  readonly replayedBytes: number
  readonly shrunkBytes: number
}

/**
 * How long the replay rests after a step: as long as the step took, for those who are served meanwhile, while little is appended. Resting halves
 * the rate, so when more than a quarter of what is replayed is appended at the same time there is no rest: the log must become
 * shorter whenever it can.
 */
export function restMs({ tookMs, replayedBytes, shrunkBytes }: ReplayStep): number {
  return shrunkBytes >= replayedBytes * 0.75 ? Math.min(tookMs, spillPauseMsMax) : 0
}
