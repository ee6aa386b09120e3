import type { FeedPhase, FeedState } from '../feed/stats-feed.ts'
import type { ConsoleError } from '../gateway/console-error.ts'

/** The state of all feeds in one, for the page's header. */
export interface Connection {
  readonly phase: FeedPhase | 'paused'
  readonly retryAtMs: number | null
  readonly error: ConsoleError | null
}

const worstFirst: readonly FeedPhase[] = ['refused', 'waiting', 'connecting', 'live', 'stopped']

/** The worst of the feeds' states; a pause covers all of them but a refusal. */
export function connectionOf(states: readonly FeedState[], paused: boolean): Connection {
  const worst = worstFirst
    .map((phase) => states.find((state) => state.phase === phase))
    .find((state) => state !== undefined)
  const error = worst?.error ?? states.find((state) => state.error !== null)?.error ?? null
  if (paused && worst?.phase !== 'refused') return { phase: 'paused', retryAtMs: null, error }
  return { phase: worst?.phase ?? 'stopped', retryAtMs: worst?.retryAtMs ?? null, error }
}
