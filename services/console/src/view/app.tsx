import type { VNode } from 'preact'
import { useCallback, useState } from 'preact/hooks'
import type { Timers } from '../feed/timers.ts'
import type { GatewayClient } from '../gateway/gateway-client.ts'
import type { Clock } from '../gateway/server-clock.ts'
import type { LiveSettings } from '../live/live-settings.ts'
import { sessionOf } from '../session/session-keeper.ts'
import type { SessionStore } from '../session/session-store.ts'
import { LivePage } from './live-page.tsx'
import { SignIn } from './sign-in.tsx'

/** All that the page needs from the outside. */
export interface AppProps {
  readonly client: GatewayClient
  readonly sessions: SessionStore
  readonly clock: Clock
  readonly timers: Timers
  /** Where this page came from, for commands to copy. */
  readonly origin: string
  readonly readSettings: () => LiveSettings
  readonly writeSettings: (settings: LiveSettings) => void
}

/** Sign-in, or the live page of who has signed in. */
export function App({ client, sessions, clock, timers, origin, readSettings, writeSettings }: AppProps): VNode {
  const [session, setSession] = useState(() => sessions.read())
  const [notice, setNotice] = useState<string | null>(null)
  const [lastUsername, setLastUsername] = useState(session?.username ?? '')
  const leave = useCallback(
    (reason: string | null) => {
      const left = sessions.read()
      sessions.clear()
      // Without waiting: the page forgets the tokens in any case, and they end by themselves.
      if (left !== null) client.logout(left.token, new AbortController().signal).catch(() => undefined)
      setNotice(reason)
      setSession(null)
    },
    [client, sessions],
  )

  if (session === null) {
    return (
      <SignIn
        notice={notice}
        username={lastUsername}
        onSubmit={async (credentials) => {
          const grant = await client.login(credentials, new AbortController().signal)
          const next = sessionOf(credentials.username, grant, clock.nowMs())
          sessions.write(next)
          setLastUsername(next.username)
          setSession(next)
        }}
      />
    )
  }
  return (
    <LivePage
      username={session.username}
      client={client}
      clock={clock}
      timers={timers}
      origin={origin}
      readSettings={readSettings}
      writeSettings={writeSettings}
      onLeave={leave}
    />
  )
}
