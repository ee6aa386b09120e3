import type { ComponentChildren, VNode } from 'preact'
import { formatBigCount, formatCount, formatRate, formatValue } from '../format/numbers.ts'
import type { LiveView } from '../live/live-view.ts'
import { SparkLine } from './spark-line.tsx'

/** The big numbers. */
export function HeadlineTiles({ view }: { readonly view: LiveView }): VNode {
  const { headlines, totals, settings } = view
  return (
    <section class="tiles" aria-label={settings.eventType === null ? 'Now' : `Now, ${settings.eventType} only`}>
      <Tile name="Events per second" value={formatRate(headlines.eventsPerS)}>
        <SparkLine values={headlines.rateSpark} fromZero />
      </Tile>
      <Tile name="Events, last minute" value={formatBigCount(headlines.eventsLastMinute)}>
        <span class="muted">{settings.end === 'latest' ? 'up to the latest event' : 'rolling, in steps of 10 s'}</span>
      </Tile>
      <Tile name="Average value" value={formatValue(headlines.averageNow)}>
        <SparkLine values={headlines.averageSpark} fromZero={false} />
      </Tile>
      <Tile name="Event types" value={formatCount(totals.length)}>
        <span class="muted">{view.typesLeftOut ? 'the most recent ones; there are more' : 'in the shown range'}</span>
      </Tile>
    </section>
  )
}

function Tile({ name, value, children }: { name: string; value: string; children: ComponentChildren }): VNode {
  return (
    <div class="tile card">
      <h2>{name}</h2>
      <p class="tile-value">{value}</p>
      <div class="tile-foot">{children}</div>
    </div>
  )
}
