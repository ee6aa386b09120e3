import { Random } from '../random.ts'

/** The two sinks. */
export const sinkKinds = ['clickhouse', 'mysql'] as const
export type SinkKind = (typeof sinkKinds)[number]

/**
 * Where a sink is killed, as its database sees it: before a write arrives (the intent is committed, the rows are not), while it is on its way, before its
 * answer arrives (the rows are stored, the sink does not know), or wherever it is.
 */
export const killMoments = ['before-write', 'during-write', 'before-answer', 'anywhere'] as const
export type KillMoment = (typeof killMoments)[number]

/** One thing that goes wrong. */
export type Fault =
  | { readonly kind: 'kill'; readonly sink: SinkKind; readonly at: KillMoment }
  | { readonly kind: 'database-kill'; readonly sink: SinkKind }
  /** Every answer takes longer. */
  | { readonly kind: 'database-slow'; readonly sink: SinkKind }
  /** Connections are refused, and those that are open are cut. */
  | { readonly kind: 'database-refuses'; readonly sink: SinkKind }
  /** One more sink joins and, some time later, leaves: two rebalances of each group. */
  | { readonly kind: 'churn'; readonly sink: SinkKind }

/** A fault with the pause before it. */
export interface PlannedFault {
  readonly fault: Fault
  readonly pauseMs: number
}

/** How often each fault comes, for each kind of sink. */
const full = { 'before-write': 5, 'during-write': 4, 'before-answer': 7, anywhere: 4, kill: 2, trouble: 2, churn: 4 }
const quick = { 'before-write': 1, 'during-write': 1, 'before-answer': 2, anywhere: 0, kill: 1, trouble: 1, churn: 1 }

/** How many sinks a list of faults kills. */
export function killsOf(plan: readonly PlannedFault[], sink?: SinkKind): number {
  return plan.filter(({ fault }) => fault.kind === 'kill' && (sink === undefined || fault.sink === sink)).length
}

/** The faults of a run, in an order that the seed decides. */
export function planFaults(seed: number, isQuick: boolean): readonly PlannedFault[] {
  const random = new Random(seed)
  const times = isQuick ? quick : full
  const faults = sinkKinds.flatMap((sink): readonly Fault[] => [
    ...killMoments.flatMap((at) => repeated(times[at], { kind: 'kill', sink, at })),
    ...repeated(times.kill, { kind: 'database-kill', sink }),
    ...repeated(times.trouble, { kind: 'database-slow', sink }),
    ...repeated(times.trouble, { kind: 'database-refuses', sink }),
    ...repeated(times.churn, { kind: 'churn', sink }),
  ])
  return random.shuffled(faults).map((fault) => ({ fault, pauseMs: random.int(100, 1_500) }))
}

function repeated(times: number, fault: Fault): readonly Fault[] {
  return Array.from({ length: times }, () => fault)
}
