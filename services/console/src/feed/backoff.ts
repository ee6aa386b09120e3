import { backoffFirstMs, backoffMaxMs } from '../limits.ts'

/**
 * The wait before attempt `attempt` (1 is the first repetition): doubles up to the bound, of which a random half is taken off so that
 * the pages of a whole office do not return in step. `random` gives numbers in [0, 1).
 */
export function backoffMs(attempt: number, random: () => number): number {
  const fullMs = Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.max(0, attempt - 1))
  return Math.round(fullMs * (0.5 + random() / 2))
}
