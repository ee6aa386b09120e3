import type { EventStats } from '@millrace/schemas'
import type { RecordPosition } from '../kafka/ports.ts'
import type { FollowStart } from '../kafka/topic-follower.ts'
import type { StatsHub } from './stats-hub.ts'
import type { StatsView } from './stats-view.ts'

/** What the follower of the topic `stats` tells. */
export interface StatsFeed {
  onStart(start: FollowStart): void
  onCaughtUp(): void
  onRecord(stats: EventStats, position: RecordPosition): void
}

/** Feeds the view and the connected clients from one follower. */
export function createStatsFeed(to: {
  readonly view: StatsView
  readonly hub: StatsHub
  readonly nowMs: () => number
}): StatsFeed {
  return {
    onStart(start) {
      to.view.restart(floorOf(start, to.nowMs()))
      to.hub.restart(start.offsets)
    },
    onCaughtUp() {
      // From now on the view vouches for what it holds.
      to.view.caughtUp = true
    },
    onRecord(stats, position) {
      // What changes nothing here is of no use to clients either.
      if (to.view.apply(stats)) to.hub.publish(stats, position)
    },
  }
}

/**
 * What retention has deleted was older than `retention.ms`, by the time of its writing, which is not before the window's start. So of a topic
 * that has lost its beginning, windows that start within the retention are all there.
 */
function floorOf(start: FollowStart, nowMs: number): number {
  if (start.fromVeryBeginning) return Number.NEGATIVE_INFINITY
  return start.retentionMs < 0 ? Number.POSITIVE_INFINITY : nowMs - start.retentionMs
}
