import { listAt, numberAt, objectAt, optionalNumberAt, textAt } from './json.ts'

/** How far one reader of a topic is behind. */
export interface GroupLag {
  readonly group: string
  readonly topic: string
  readonly records: number
  readonly seconds: number
}

/** One minute of a topic: whether everything is where it should be. */
export interface ReconciledMinute {
  readonly minuteMs: number
  /** Too young to be judged: what is missing is on its way. */
  readonly isSettled: boolean
  readonly kafka: number
  readonly stored: number
  readonly deadLettered: number
  /** Records that are not where they should be; 0 in a minute that is not judged yet. */
  readonly differences: number
}

/** One topic compared with its store, minute by minute. */
export interface ReconciledTopic {
  readonly topic: string
  readonly differences: number
  readonly kafka: number
  readonly stored: number
  readonly minutes: readonly ReconciledMinute[]
}

/** Letters of a topic that wait; null where the gateway could not say. */
export interface WaitingLetters {
  readonly topic: string
  readonly waiting: number | null
}

/** Reads the answer of `GET /api/v1/ops/lag`, the furthest behind first; throws a `bad_answer` that names the faulty member. */
export function parseLags(value: unknown): readonly GroupLag[] {
  const groups = listAt(objectAt(value, 'lag'), 'groups').map((item) => {
    const group = objectAt(item, 'groups')
    return {
      group: textAt(group, 'group'),
      topic: textAt(group, 'topic'),
      records: numberAt(group, 'records'),
      seconds: numberAt(group, 'seconds'),
    }
  })
  return groups.sort((a, b) => b.seconds - a.seconds || b.records - a.records)
}

/** Reads the answer of `GET /api/v1/ops/reconciliation`; throws a `bad_answer` that names the faulty member. */
export function parseReconciliation(value: unknown): readonly ReconciledTopic[] {
  return listAt(objectAt(value, 'reconciliation'), 'topics').map((item) => {
    const topic = objectAt(item, 'topics')
    const differences = differencesOf(listAt(topic, 'differences'))
    const minutes = listAt(topic, 'minutes').map((minute) => parseMinute(minute, differences))
    const totals = objectAt(topic.totals, 'totals')
    return {
      topic: textAt(topic, 'topic'),
      differences: Object.keys(totals).reduce((sum, stage) => sum + numberAt(totals, stage), 0),
      kafka: minutes.reduce((sum, { kafka }) => sum + kafka, 0),
      stored: minutes.reduce((sum, { stored }) => sum + stored, 0),
      minutes,
    }
  })
}

/** Reads how many letters wait from the answer of `GET /api/v1/ops/dead-letters/{topic}`. */
export function parseWaiting(value: unknown): number {
  return numberAt(objectAt(value, 'dead letters'), 'waiting')
}

function parseMinute(value: unknown, differences: ReadonlyMap<number, number>): ReconciledMinute {
  const minute = objectAt(value, 'minutes')
  const minuteMs = numberAt(minute, 'minute')
  return {
    minuteMs,
    isSettled: minute.is_settled === true,
    kafka: numberAt(minute, 'kafka'),
    stored: numberAt(minute, 'stored'),
    deadLettered: optionalNumberAt(minute, 'dead_lettered') ?? 0,
    differences: differences.get(minuteMs) ?? 0,
  }
}

/** By minute. */
function differencesOf(list: readonly unknown[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>()
  for (const item of list) {
    const difference = objectAt(item, 'differences')
    const minuteMs = numberAt(difference, 'minute')
    found.set(minuteMs, (found.get(minuteMs) ?? 0) + numberAt(difference, 'records'))
  }
  return found
}
