import { render } from 'preact'
import { browserTimers } from './feed/timers.ts'
import { createGatewayClient } from './gateway/gateway-client.ts'
import { createServerClock } from './gateway/server-clock.ts'
import { formatSettings, parseSettings } from './live/live-settings.ts'
import { createSessionKeeper } from './session/session-keeper.ts'
import { createSessionStore } from './session/session-store.ts'
import { App } from './view/app.tsx'

const clock = createServerClock({ nowMs: () => Date.now() })
const sessions = createSessionStore(sessionStorage, () => clock.nowMs())
const client = createGatewayClient({
  fetch: (input, init) => fetch(input, init),
  readToken: () => keeper.readToken(),
  clock,
})
const keeper = createSessionKeeper({
  sessions,
  refresh: (token) => client.refresh(token, new AbortController().signal),
  nowMs: () => clock.nowMs(),
})

const root = document.getElementById('app')
if (root === null) throw new Error('index.html has no element with the id "app".')
render(
  <App
    client={client}
    sessions={sessions}
    clock={clock}
    timers={browserTimers}
    origin={location.origin}
    readSettings={() => parseSettings(location.hash)}
    writeSettings={(settings) => {
      history.replaceState(null, '', `${location.pathname}${location.search}${formatSettings(settings)}`)
    }}
  />,
  root,
)
