import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Timers } from '../feed/timers.ts'
import { formatCount } from '../format/numbers.ts'
import { formatMoment } from '../format/times.ts'
import { ConsoleError } from '../gateway/console-error.ts'
import type { GatewayClient } from '../gateway/gateway-client.ts'
import type { GroupLag, ReconciledMinute, ReconciledTopic, WaitingLetters } from '../gateway/operations.ts'
import { operationsEveryMs, operationsMinutesMax } from '../limits.ts'

/** What the view of operations needs. */
export interface OperationsProps {
  readonly client: Pick<GatewayClient, 'fetchLags' | 'fetchReconciliation' | 'fetchWaitingLetters'>
  readonly timers: Timers
  readonly localZone: string
}

/** Topics that have dead letters. */
const letterTopics = ['events', 'leads', 'stats', 'api-logs'] as const

/** For admins: who is behind, what could not be stored, and whether everything has arrived. Asks the gateway only while it is open. */
export function Operations({ client, timers, localZone }: OperationsProps): VNode {
  const [isOpen, setOpen] = useState(false)
  const lags = useAnswer(isOpen, timers, client.fetchLags)
  const topics = useAnswer(isOpen, timers, client.fetchReconciliation)
  const letters = useAnswer(isOpen, timers, (signal) => fetchLetters(client, signal))
  const error = lags.error ?? topics.error

  return (
    <details class="card operations" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Operations</summary>
      {error !== null && (
        <p class="muted">
          {error.code === 'forbidden' ? 'Only admins can see this.' : `Not known right now: ${error.detail}`}
        </p>
      )}
      {error?.code !== 'forbidden' && (
        <div class="operations-parts">
          <Arrived topics={topics.answer} localZone={localZone} />
          <Behind lags={lags.answer} />
          <Letters letters={letters.answer} />
        </div>
      )}
    </details>
  )
}

/** A question, and the table that answers it. */
function Answered(props: {
  readonly id: string
  readonly title: string
  readonly lead?: string
  readonly columns: readonly string[]
  readonly children: ComponentChildren
}): VNode {
  const { id, title, lead, columns, children } = props
  return (
    <section aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {lead !== undefined && <p class="muted">{lead}</p>}
      <div class="table-scroll">
        <table>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{children}</tbody>
        </table>
      </div>
    </section>
  )
}

/** Whether everything of the last hour is where it should be, with one bar for each minute. */
function Arrived({ topics, localZone }: { topics: readonly ReconciledTopic[] | null; localZone: string }): VNode {
  return (
    <Answered
      id="arrived"
      title="Has everything arrived?"
      lead="The last hour: records in Kafka, and what is stored of them or a dead letter. Five minutes are allowed for."
      columns={['Topic', 'In Kafka', 'Stored', 'State', 'By minute']}
    >
      {topics?.map(({ topic, kafka, stored, differences, minutes }) => (
        <tr key={topic}>
          <th scope="row">{topic}</th>
          <td>{formatCount(kafka)}</td>
          <td>{formatCount(stored)}</td>
          <td class={`operations-state operations-${differences === 0 ? 'good' : 'bad'}`}>
            {differences === 0 ? 'whole' : `${formatCount(differences)} missing`}
          </td>
          <td>
            <ul class="minute-strip" aria-hidden="true">
              {minutes.slice(-operationsMinutesMax).map((minute) => (
                <li key={minute.minuteMs} class={minuteClass(minute)} title={minuteTitle(minute, localZone)} />
              ))}
            </ul>
          </td>
        </tr>
      ))}
    </Answered>
  )
}

/** How far everybody is behind who reads a topic. */
function Behind({ lags }: { lags: readonly GroupLag[] | null }): VNode {
  return (
    <Answered id="behind" title="Who is behind?" columns={['Reader', 'Topic', 'Records', 'Seconds']}>
      {lags?.map(({ group, topic, records, seconds }) => (
        <tr key={`${group} ${topic}`}>
          <th scope="row">{group}</th>
          <td>{topic}</td>
          <td>{formatCount(records)}</td>
          <td>{seconds.toFixed(1)}</td>
        </tr>
      ))}
    </Answered>
  )
}

/** How many records wait that could not be stored. */
function Letters({ letters }: { letters: readonly WaitingLetters[] | null }): VNode {
  return (
    <Answered id="letters" title="What could not be stored?" columns={['Topic', 'Dead letters that wait']}>
      {letters?.map(({ topic, waiting }) => (
        <tr key={topic}>
          <th scope="row">{topic}</th>
          <td class={waiting === 0 ? '' : 'operations-state operations-bad'}>
            {waiting === null ? 'not known' : formatCount(waiting)}
          </td>
        </tr>
      ))}
    </Answered>
  )
}

interface Answer<T> {
  readonly answer: T | null
  readonly error: ConsoleError | null
}

/** What the gateway answers, asked anew now and again while the view is open; what it has said stays when a later question fails. */
function useAnswer<T>(isOpen: boolean, timers: Timers, ask: (signal: AbortSignal) => Promise<T>): Answer<T> {
  const [state, setState] = useState<Answer<T>>({ answer: null, error: null })
  useEffect(() => {
    if (!isOpen) return
    const closing = new AbortController()
    let isAsking = false
    const next = async (): Promise<void> => {
      // A comparison may take longer than the pause between two.
      if (isAsking) return
      isAsking = true
      try {
        const answer = await ask(closing.signal)
        if (!closing.signal.aborted) setState({ answer, error: null })
      } catch (reason) {
        if (!closing.signal.aborted) setState(({ answer }) => ({ answer, error: ConsoleError.from(reason) }))
      } finally {
        isAsking = false
      }
    }
    void next()
    const stop = timers.every(operationsEveryMs, () => void next())
    return () => {
      stop()
      closing.abort()
    }
    // The question is the same for as long as the page lives.
  }, [isOpen, timers])
  return state
}

/** One that cannot be told does not hide the others. */
function fetchLetters(client: OperationsProps['client'], signal: AbortSignal): Promise<readonly WaitingLetters[]> {
  return Promise.all(
    letterTopics.map(async (topic) => ({
      topic,
      waiting: await client.fetchWaitingLetters(topic, signal).catch(() => null),
    })),
  )
}

function minuteClass({ isSettled, kafka, differences }: ReconciledMinute): string {
  if (differences > 0) return 'minute-bad'
  return isSettled && kafka > 0 ? 'minute-good' : ''
}

function minuteTitle({ minuteMs, kafka, stored, deadLettered, differences }: ReconciledMinute, zone: string): string {
  const letters = deadLettered === 0 ? '' : `, ${formatCount(deadLettered)} dead letters`
  const lost = differences === 0 ? '' : `, ${formatCount(differences)} missing`
  return `${formatMoment(minuteMs, zone)}: ${formatCount(kafka)} in Kafka, ${formatCount(stored)} stored${letters}${lost}`
}
