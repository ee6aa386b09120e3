import type { VNode } from 'preact'
import { formatAgo } from '../format/times.ts'
import type { LiveView } from '../live/live-view.ts'

/** What the connection state needs. */
export interface ConnectionStateProps {
  readonly view: LiveView
  readonly onReconnect: () => void
}

/** Whether the page is live, since when it is not, and how old what it shows is. */
export function ConnectionState({ view, onReconnect }: ConnectionStateProps): VNode {
  const { phase, retryAtMs, error } = view.connection
  const waitS = retryAtMs === null ? 0 : Math.max(0, Math.ceil((retryAtMs - view.clockMs) / 1_000))
  return (
    <div class={`connection connection-${phase}`}>
      <span class="dot" aria-hidden="true" />
      {/* Only the word is announced: the seconds would be read aloud without end. */}
      <strong role="status">{words[phase]}</strong>
      {view.lastUpdateMs !== null && (
        <span class="muted">updated {formatAgo(Math.max(0, view.clockMs - view.lastUpdateMs))}</span>
      )}
      {phase === 'waiting' && <span class="muted">next try in {waitS} s</span>}
      {(phase === 'waiting' || phase === 'refused') && (
        <>
          {error !== null && <span class="muted connection-error">{error.detail}</span>}
          <button class="button button-small" type="button" onClick={onReconnect}>
            Try now
          </button>
        </>
      )}
    </div>
  )
}

const words: Readonly<Record<LiveView['connection']['phase'], string>> = {
  stopped: 'Not connected',
  connecting: 'Connecting',
  live: 'Live',
  waiting: 'Reconnecting',
  refused: 'Refused',
  paused: 'Paused',
}
