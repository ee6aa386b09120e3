import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Timers } from '../feed/timers.ts'
import { formatCount } from '../format/numbers.ts'
import { ConsoleError } from '../gateway/console-error.ts'
import type { GatewayClient } from '../gateway/gateway-client.ts'
import type { Health } from '../gateway/health.ts'
import { healthEveryMs } from '../limits.ts'

/** What the strip needs. */
export interface HealthStripProps {
  readonly client: Pick<GatewayClient, 'fetchHealth'>
  readonly timers: Timers
}

/** The servers behind the page, each with its state in words and its latency. */
export function HealthStrip({ client, timers }: HealthStripProps): VNode {
  const [health, setHealth] = useState<Health | null>(null)
  const [error, setError] = useState<ConsoleError | null>(null)

  useEffect(() => {
    const closing = new AbortController()
    const ask = async (): Promise<void> => {
      try {
        setHealth(await client.fetchHealth(closing.signal))
        setError(null)
      } catch (reason) {
        if (!closing.signal.aborted) setError(ConsoleError.from(reason))
      }
    }
    void ask()
    const stop = timers.every(healthEveryMs, () => void ask())
    return () => {
      stop()
      closing.abort()
    }
  }, [client, timers])

  return (
    <footer class="health">
      {error !== null ? (
        <p class="health-item health-bad">
          <span class="dot" aria-hidden="true" />
          Health unknown: {error.detail}
        </p>
      ) : (
        <ul aria-label="Servers">
          {health?.checks.map((check) => (
            <li key={check.name} class={`health-item health-${toneOf(check.status)}`}>
              <span class="dot" aria-hidden="true" />
              <span>{check.name}</span> <strong>{check.status}</strong>
              {check.latencyMs !== null && <span class="muted">{latencyText(check.latencyMs)}</span>}
            </li>
          ))}
        </ul>
      )}
      {health?.version != null && <span class="muted health-version">Millrace {health.version}</span>}
    </footer>
  )
}

function toneOf(status: string): 'good' | 'warn' | 'bad' {
  if (status === 'ok' || status === 'up') return 'good'
  return status === 'down' ? 'bad' : 'warn'
}

function latencyText(latencyMs: number): string {
  return latencyMs < 1 ? '<1 ms' : `${formatCount(latencyMs)} ms`
}
