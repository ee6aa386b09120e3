import type { VNode } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { Timers } from '../feed/timers.ts'
import type { GatewayClient } from '../gateway/gateway-client.ts'
import type { Clock } from '../gateway/server-clock.ts'
import { LiveModel } from '../live/live-model.ts'
import type { LiveSettings } from '../live/live-settings.ts'
import type { LiveView } from '../live/live-view.ts'
import { Brand } from './brand.tsx'
import { Charts } from './charts.tsx'
import { ConnectionState } from './connection-state.tsx'
import { FirstEvent } from './first-event.tsx'
import { HeadlineTiles } from './headline-tiles.tsx'
import { HealthStrip } from './health-strip.tsx'
import { Notice } from './notice.tsx'
import { Operations } from './operations.tsx'
import { Toolbar } from './toolbar.tsx'
import { TypeTable } from './type-table.tsx'

/** What the live page needs. */
export interface LivePageProps {
  readonly username: string
  readonly client: GatewayClient
  readonly clock: Clock
  readonly timers: Timers
  readonly origin: string
  readonly readSettings: () => LiveSettings
  readonly writeSettings: (settings: LiveSettings) => void
  /** Signs out; with a sentence where the person did not ask for it. */
  readonly onLeave: (reason: string | null) => void
}

/** The one page: numbers, charts and the table of types, as the model has them. */
export function LivePage(props: LivePageProps): VNode {
  const { username, client, timers, origin, onLeave } = props
  const model = useLiveModel(props)
  const view = useView(model)
  const localZone = useMemo(() => new Intl.DateTimeFormat().resolvedOptions().timeZone, [])
  const paused = view.connection.phase === 'paused'

  return (
    <>
      <header class="page-head">
        <Brand />
        <ConnectionState view={view} onReconnect={() => model.reconnect()} />
        <div class="page-head-actions">
          <button class="button" type="button" aria-pressed={paused} onClick={() => model.togglePause()}>
            {paused ? 'Resume' : 'Pause'}
          </button>
          <span class="who" title={`Signed in as ${username}`}>
            {username}
          </span>
          <button class="button button-quiet" type="button" onClick={() => onLeave(null)}>
            Sign out
          </button>
        </div>
      </header>
      <main class="page">
        <h1 class="for-screen-readers">Live event statistics</h1>
        {view.content !== 'forbidden' && <Toolbar view={view} model={model} localZone={localZone} />}
        <Notice view={view} model={model} localZone={localZone} />
        {view.content === 'nothing' && <FirstEvent origin={origin} />}
        {view.content !== 'nothing' && view.content !== 'forbidden' && (
          <>
            <HeadlineTiles view={view} />
            <Charts view={view} localZone={localZone} />
            <TypeTable view={view} onShowType={(eventType) => model.showType(eventType)} />
          </>
        )}
        <Operations client={client} timers={timers} localZone={localZone} />
      </main>
      <HealthStrip client={client} timers={timers} />
    </>
  )
}

function useLiveModel({ client, clock, timers, readSettings, writeSettings, onLeave }: LivePageProps): LiveModel {
  const model = useMemo(
    () =>
      new LiveModel({
        client,
        clock,
        timers,
        random: Math.random,
        settings: readSettings(),
        onSettings: writeSettings,
        onSessionEnd: () => onLeave('Your session has ended. Please sign in again.'),
      }),
    [client, clock, timers, readSettings, writeSettings, onLeave],
  )
  useEffect(() => {
    model.start()
    return () => model.close()
  }, [model])
  return model
}

function useView(model: LiveModel): LiveView {
  const [view, setView] = useState(model.view)
  useEffect(() => {
    setView(model.view)
    return model.subscribe(() => setView(model.view))
  }, [model])
  return view
}
