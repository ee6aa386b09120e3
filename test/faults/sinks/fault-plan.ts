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

/** Moments of a write that are seen on its way. */
export const cutMoments = ['during-write', 'before-answer'] as const
export type CutMoment = (typeof cutMoments)[number]

/** A sink is killed. */
export interface Kill {
  readonly kind: 'kill'
  readonly sink: SinkKind
  readonly at: KillMoment
}

/** One thing that goes wrong. */
export type Fault =
  | Kill
  /** With a write on its way, or with one done whose answer nobody gets. */
  | { readonly kind: 'database-kill'; readonly sink: SinkKind; readonly at: CutMoment }
  /** A write is done, and its answer is lost with the connection: the sink lives, and knows nothing. */
  | { readonly kind: 'answer-lost'; readonly sink: SinkKind }
  /** Every answer takes longer. */
  | { readonly kind: 'database-slow'; readonly sink: SinkKind }
  /** Connections are refused, and those that are open are cut. */
  | { readonly kind: 'database-refuses'; readonly sink: SinkKind }
  /** One more sink of each kind joins and leaves again, over and over: two rebalances of each group every time. */
  | { readonly kind: 'storm' }

/** A fault with the pause before it. */
export interface PlannedFault {
  readonly fault: Fault
  readonly pauseMs: number
}

/** How often each fault comes: kills by moment, and the rest, for each kind of sink; storms for both together. */
const full = {
  kills: { 'before-write': 5, 'during-write': 5, 'before-answer': 6, anywhere: 4 },
  databaseKills: 2,
  lostAnswers: 4,
  trouble: 2,
  storms: 2,
}
const quick = {
  kills: { 'before-write': 1, 'during-write': 1, 'before-answer': 2, anywhere: 0 },
  databaseKills: 1,
  lostAnswers: 1,
  trouble: 1,
  storms: 1,
}

/** How many faults of a list are like this one. */
export function countFaults(plan: readonly PlannedFault[], wanted: Partial<Kill>): number {
  return plan.filter(
    ({ fault }) =>
      fault.kind === 'kill' &&
      (wanted.sink === undefined || fault.sink === wanted.sink) &&
      (wanted.at === undefined || fault.at === wanted.at),
  ).length
}

/** The faults of a run, in an order that the seed decides. */
export function planFaults(seed: number, isQuick: boolean): readonly PlannedFault[] {
  const random = new Random(seed)
  const times = isQuick ? quick : full
  const faults = sinkKinds.flatMap((sink): readonly Fault[] => [
    ...killMoments.flatMap((at) => repeated(times.kills[at], { kind: 'kill', sink, at })),
    ...cutMoments.flatMap((at) => repeated(times.databaseKills, { kind: 'database-kill', sink, at })),
    ...repeated(times.lostAnswers, { kind: 'answer-lost', sink }),
    ...repeated(times.trouble, { kind: 'database-slow', sink }),
    ...repeated(times.trouble, { kind: 'database-refuses', sink }),
  ])
  const all = [...faults, ...repeated(times.storms, { kind: 'storm' })]
  return random.shuffled(all).map((fault) => ({ fault, pauseMs: random.int(100, 1_500) }))
}

function repeated(times: number, fault: Fault): readonly Fault[] {
  return Array.from({ length: times }, () => fault)
}
