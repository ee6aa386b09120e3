import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { firstEventCommands } from '../live/first-event.ts'

/** What the empty page needs. */
export interface FirstEventProps {
  /** Where this page came from, which is where events go. */
  readonly origin: string
}

/** The page before the first event: the commands that send one. */
export function FirstEvent({ origin }: FirstEventProps): VNode {
  const commands = firstEventCommands(origin)
  const [copied, setCopied] = useState<'no' | 'yes' | 'failed'>('no')

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(commands)
      setCopied('yes')
    } catch {
      // The browser may forbid it; the text can still be selected by hand.
      setCopied('failed')
    }
  }

  return (
    <section class="card first-event" aria-labelledby="first-event-title">
      <h2 id="first-event-title">Waiting for the first event</h2>
      <p>Nothing has been counted yet. Send an event from a terminal; it shows up here within seconds.</p>
      <pre>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
        <code tabIndex={0}>{commands}</code>
      </pre>
      <p class="first-event-actions">
        <button class="button button-primary" type="button" onClick={() => void copy()}>
          Copy
        </button>
        <span role="status" class="muted">
          {copyWords[copied]}
        </span>
        <a href={`${origin}/docs`}>All of the API</a>
      </p>
    </section>
  )
}

const copyWords = { no: '', yes: 'Copied.', failed: 'Copying is not allowed here: select the text instead.' }
