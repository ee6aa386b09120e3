import type { VNode } from 'preact'
import { formatRange, zoneOf } from '../format/times.ts'
import type { LiveModel } from '../live/live-model.ts'
import type { LiveView } from '../live/live-view.ts'
import { intervalSpecs, intervals } from '../stats/interval.ts'
import { type RangeEnd, rangeEnds } from '../stats/shown-range.ts'
import { Choice } from './choice.tsx'

/** What the toolbar needs. */
export interface ToolbarProps {
  readonly view: LiveView
  readonly model: Pick<LiveModel, 'showInterval' | 'showEnd' | 'showType'>
  readonly localZone: string
}

/** The choices of what to see: window length, end of the range, event type. */
export function Toolbar({ view, model, localZone }: ToolbarProps): VNode {
  const { interval, end, eventType } = view.settings
  const zone = zoneOf(interval, localZone)
  return (
    <div class="toolbar" role="toolbar" aria-label="What is shown">
      <Choice
        legend="Window"
        options={intervals}
        chosen={interval}
        labelOf={(option) => option}
        titleOf={(option) =>
          `Windows of ${intervalSpecs[option].unitName}, the last ${intervalSpecs[option].rangeName}`
        }
        onChoose={(option) => model.showInterval(option)}
      />
      <Choice
        legend="Up to"
        options={rangeEnds}
        chosen={end}
        labelOf={(option) => endLabels[option]}
        titleOf={(option) => endTitles[option]}
        onChoose={(option) => model.showEnd(option)}
      />
      <label class="field">
        <span>Event type</span>
        <select
          value={eventType ?? ''}
          onChange={(event) => model.showType(event.currentTarget.value === '' ? null : event.currentTarget.value)}
        >
          <option value="">All types</option>
          {typeNames(view).map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <p class="toolbar-range muted">
        <span>{formatRange(view.range, { zone, nowMs: view.nowMs })}</span>
        <span>{zone}</span>
      </p>
    </div>
  )
}

const endLabels: Readonly<Record<RangeEnd, string>> = { now: 'Now', latest: 'Latest data' }
const endTitles: Readonly<Record<RangeEnd, string>> = {
  now: 'The range ends at the present',
  latest: 'The range ends at the newest event, which may be history',
}

function typeNames({ totals, settings }: LiveView): string[] {
  const names = new Set(totals.map((row) => row.eventType))
  if (settings.eventType !== null) names.add(settings.eventType)
  return [...names].sort()
}
