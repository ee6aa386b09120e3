import {
  type ConsumerParts,
  consumersOf,
  findLetter,
  type GroupLag,
  OperationsError,
  openLetters,
  readLags,
  readLetters,
  replayLetters,
} from '@millrace/operations'
import { topics } from '@millrace/schemas'
import type { Broker } from '@millrace/streams'
import { GatewayError } from '../errors.ts'
import { lettersListedMax, opsAnswerMs } from '../limits.ts'
import type { OperationsDesk } from './ports.ts'
import type { ReconciliationWatch } from './reconciliation-watch.ts'

/** What the desk works with. */
export interface DeskParts extends ConsumerParts {
  readonly broker: Broker
  readonly watch: Pick<ReconciliationWatch, 'latest'>
  readonly nowMs: () => number
}

/** What operators ask, answered from Kafka and the databases. Connections are opened for each question, and closed after it. */
export function createOperationsDesk({ broker, watch, nowMs, ...parts }: DeskParts): OperationsDesk {
  const consumers = consumersOf({ broker, ...parts })
  const all = new Set<string>(topics.map(({ name }) => name))
  const lags = cached(() => readLags({ broker, nowMs }, consumers), nowMs)
  let replaying: Promise<unknown> = Promise.resolve()

  return {
    letterTopics: [...all].filter((name) => all.has(`${name}.dlq`)),
    lags,
    letter: (topic, offset) => translated(() => findLetter(broker, `${topic}.dlq`, offset)),
    reconciliation: () => watch.latest(),

    letters: (topic) =>
      translated(async () => {
        const found = await readLetters(broker, `${topic}.dlq`, { lettersMax: lettersListedMax })
        const open = new Set(openLetters(found).map(({ offset }) => offset))
        return { letters: found.letters, open, replayed: found.replayed.size }
      }),

    replay(topic, { offsets, reason }) {
      // One at a time: a second one would end the first.
      const run = replaying.then(() =>
        translated(() => replayLetters(broker, `${topic}.dlq`, { offsets: new Set(offsets), exception: reason })),
      )
      replaying = run.catch(() => undefined)
      return run
    },
  }
}

/** Answers the same again for a while: a page asks every few seconds, and several may be open. */
function cached(read: () => Promise<readonly GroupLag[]>, nowMs: () => number) {
  let answer: Promise<readonly GroupLag[]> | undefined
  let untilMs = 0
  return () => {
    if (answer === undefined || nowMs() >= untilMs) {
      untilMs = nowMs() + opsAnswerMs
      answer = read()
      // The next one asks anew.
      answer.catch(() => {
        untilMs = 0
      })
    }
    return answer
  }
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof OperationsError)) throw cause
    if (cause.code === 'TOO_MUCH') {
      const detail = `There are more than ${lettersListedMax} dead letters: ask ClickHouse's table dead_letters, or the command line.`
      throw new GatewayError('DEAD_LETTERS_TOO_MANY', detail, { cause })
    }
    throw new GatewayError('KAFKA_UNAVAILABLE', 'Kafka does not bring the dead letters right now: try again.', {
      cause,
    })
  }
}
