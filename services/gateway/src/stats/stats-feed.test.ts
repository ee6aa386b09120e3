import type { EventStats } from '@millrace/schemas'
import { describe, expect, it } from 'vitest'
import { createStatsFeed } from './stats-feed.ts'
import { StatsHub } from './stats-hub.ts'
import { StatsView } from './stats-view.ts'

const dayMs = 86_400_000
const nowMs = 100 * dayMs

function feed() {
  const view = new StatsView()
  const hub = new StatsHub()
  return { view, hub, feed: createStatsFeed({ view, hub, nowMs: () => nowMs }) }
}

const stats: EventStats = {
  event_type: 'view',
  interval: '1d',
  window_start: 0,
  window_end: dayMs,
  count: 1,
  value_count: 0,
  sum: 0,
  avg: null,
  min: null,
  max: null,
  final: false,
  updated_at: 0,
}

describe('the feed', () => {
  it('vouches for everything of a topic that holds its beginning, once it has caught up', () => {
    const { view, feed: to } = feed()
    to.onStart({ offsets: [0], fromVeryBeginning: true, retentionMs: 30 * dayMs })
    to.onRecord(stats, { partition: 0, offset: 0 })
    expect(view.isCompleteFrom('1d', 0)).toBe(false)
    to.onCaughtUp()
    expect(view.isCompleteFrom('1d', 0)).toBe(true)
  })

  it('vouches only for windows within the retention of a topic that has lost its beginning', () => {
    const { view, feed: to } = feed()
    to.onStart({ offsets: [5], fromVeryBeginning: false, retentionMs: 30 * dayMs })
    to.onCaughtUp()
    expect(view.isCompleteFrom('1d', 70 * dayMs)).toBe(true)
    expect(view.isCompleteFrom('1d', 70 * dayMs - 1)).toBe(false)
    to.onStart({ offsets: [5], fromVeryBeginning: false, retentionMs: -1 })
    to.onCaughtUp()
    expect(view.isCompleteFrom('1d', nowMs)).toBe(false)
  })

  it('begins anew when the topic does', () => {
    const { view, hub, feed: to } = feed()
    const texts: string[] = []
    to.onStart({ offsets: [3], fromVeryBeginning: true, retentionMs: -1 })
    const sink = { send: (text: string) => texts.push(text) > 0, hasRoom: true, onRoom: undefined, end: () => {} }
    hub.subscribe({ eventType: undefined, interval: undefined }, sink, undefined)
    to.onRecord(stats, { partition: 0, offset: 3 })
    to.onCaughtUp()
    to.onStart({ offsets: [0], fromVeryBeginning: true, retentionMs: -1 })
    expect(view.sizes()['1d']).toBe(0)
    expect(view.caughtUp).toBe(false)
    expect(texts.map((text) => /event: (\w+)/.exec(text)?.[1])).toEqual(['ready', 'stats', 'reset'])
  })
})
