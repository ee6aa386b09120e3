import { parseArgs } from 'node:util'
import {
  differenceOf,
  OperationsError,
  type ReconciledMinute,
  type ReconciledTopic,
  type Reconciler,
  type Reconciliation,
  reconciledMsDefault,
  reconciledTopics,
  reconciliationBoundMsDefault,
  type TopicReconciliation,
} from '@millrace/operations'
import { CommandError } from './command-error.ts'
import { table } from './table.ts'
import { timeOption } from './time-option.ts'

/** What `millrace reconcile` works on. */
export interface ReconcileDeps {
  readonly reconciler: Reconciler
  readonly nowMs: () => number
  /** To standard output: what a script takes. */
  readonly print: (line: string) => void
  /** To standard error: what a person reads. */
  readonly tell: (line: string) => void
}

const usage = `millrace reconcile [--from TIME] [--to TIME] [--topic ${reconciledTopics.join('|')}] [--bound SECONDS] [--json]`

/** `millrace reconcile …`. Throws `CommandError`, `REFUSED` when there are differences; and what Kafka and the databases throw. */
export async function runReconcile(args: readonly string[], deps: ReconcileDeps): Promise<void> {
  const { json, ...range } = read(args, deps.nowMs())
  const found = await reconcile(deps.reconciler, range)
  if (json) deps.print(JSON.stringify(found, undefined, 2))
  else for (const line of described(found)) deps.print(line)
  const records = differenceOf(found)
  const when = `${isoTime(found.fromMs)} to ${isoTime(found.toMs)}`
  if (records > 0) throw new CommandError('REFUSED', `${records} records of ${when} are not where they should be`)
  deps.tell(`Everything of ${when} that is older than ${isoTime(found.settledMs)} is where it should be`)
}

async function reconcile(reconciler: Reconciler, range: Parameters<Reconciler['run']>[0]): Promise<Reconciliation> {
  try {
    return await reconciler.run(range)
  } catch (error) {
    throw error instanceof OperationsError ? new CommandError('REFUSED', error.detail) : error
  }
}

function read(args: readonly string[], nowMs: number) {
  const text = { type: 'string' } as const
  const options = { from: text, to: text, topic: text, bound: text, json: { type: 'boolean' } } as const
  const { values } = parsed(args, options)
  const toMs = timeOption(values.to, 'to') ?? nowMs
  const fromMs = timeOption(values.from, 'from') ?? toMs - reconciledMsDefault
  const topic = reconciledTopics.find((name) => name === values.topic)
  if (values.topic !== undefined && topic === undefined) {
    throw new CommandError('USAGE', `--topic "${values.topic}" is none of ${reconciledTopics.join(', ')}`)
  }
  const topics: readonly ReconciledTopic[] | undefined = topic === undefined ? undefined : [topic]
  return { fromMs, toMs, topics, boundMs: boundOf(values.bound), json: values.json === true }
}

function parsed<T extends NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>>(
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], options })
  } catch (error) {
    throw new CommandError('USAGE', `${error instanceof Error ? error.message : String(error)}: ${usage}`)
  }
}

function boundOf(text: string | undefined): number {
  if (text === undefined) return reconciliationBoundMsDefault
  if (!/^\d{1,5}$/.test(text)) throw new CommandError('USAGE', `--bound "${text}" is no number of seconds`)
  return Number(text) * 1_000
}

function described({ topics }: Reconciliation): readonly string[] {
  const heads = [
    'TOPIC',
    'ACKNOWLEDGED',
    'KAFKA',
    'PROCESSED',
    'STORED',
    'RESENT',
    'DEAD',
    'WAITING',
    'MISSING',
    'DOUBLED',
  ]
  const sums = topics.map(({ topic, minutes }) => {
    const sum = (of: (minute: ReconciledMinute) => number | null) =>
      minutes.some((minute) => of(minute) === null)
        ? '-'
        : String(minutes.reduce((total, minute) => total + (of(minute) ?? 0), 0))
    return [
      topic,
      sum(({ acknowledged }) => acknowledged),
      sum(({ kafka }) => kafka),
      sum(({ processed }) => processed),
      sum(({ stored }) => stored),
      sum(({ resent }) => resent),
      sum(({ deadLettered }) => deadLettered),
      sum(({ waiting }) => waiting),
      sum(({ missing }) => missing),
      sum(({ doubled }) => doubled),
    ]
  })
  const differences = topics.flatMap(differencesOf)
  if (differences.length === 0) return table(heads, sums)
  return [
    ...table(heads, sums),
    '',
    ...table(['TOPIC', 'STAGE', 'MINUTE', 'RECORDS', 'PARTITION', 'OFFSETS'], differences),
  ]
}

function differencesOf({ topic, differences }: TopicReconciliation): readonly (readonly string[])[] {
  return differences.map(({ stage, minuteMs, records, partition, firstOffset, nextOffset }) => {
    const offsets = firstOffset === null || nextOffset === null ? '-' : `${firstOffset}-${nextOffset - 1}`
    return [topic, stage, isoTime(minuteMs), String(records), String(partition ?? '-'), offsets]
  })
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}/, '')
}
