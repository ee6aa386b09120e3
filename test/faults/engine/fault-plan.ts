import { Random } from '../random.ts'
import type { FailpointName } from './instance-settings.ts'

/** How an instance comes back after it was killed: with its state directory, with an empty one, or with another one that may hold old state. */
export const comebacks = ['same', 'wiped', 'elsewhere'] as const
export type Comeback = (typeof comebacks)[number]

/** One thing that goes wrong. */
export type Fault =
  | { readonly kind: 'kill'; readonly at: FailpointName | 'anywhere'; readonly comeback: Comeback }
  /** Killed, and killed again at the end of its recovery: two kills. */
  | { readonly kind: 'kill-in-recovery'; readonly comeback: Comeback }
  /** Stopped with a transaction open, and woken when others have its tasks: before or after the broker has aborted the transaction. */
  | { readonly kind: 'zombie'; readonly wake: 'after-takeover' | 'after-abort' }
  | { readonly kind: 'broker-kill' }
  /** Asked to close, which commits, and started again later: it leaves the group, or stays a member as in a rolling restart. */
  | { readonly kind: 'close'; readonly leaves: boolean }

/** A fault with what is done before it. */
export interface PlannedFault {
  readonly fault: Fault
  /** Wait until every instance runs; else it may hit a recovery or a rebalance. */
  readonly calm: boolean
  readonly pauseMs: number
}

const kill = (at: FailpointName | 'anywhere', comeback: Comeback = 'same'): Fault => ({ kind: 'kill', at, comeback })

const quickFaults: readonly Fault[] = [
  kill('commit:sent'),
  kill('commit:offsets-added', 'wiped'),
  kill('commit:committed'),
  { kind: 'kill-in-recovery', comeback: 'same' },
  { kind: 'zombie', wake: 'after-takeover' },
  { kind: 'broker-kill' },
]

const allFaults: readonly Fault[] = [
  kill('commit:prepared'),
  kill('commit:prepared'),
  kill('commit:sent'),
  kill('commit:sent'),
  kill('commit:sent', 'wiped'),
  kill('commit:offsets-added'),
  kill('commit:offsets-added'),
  kill('commit:offsets-added', 'elsewhere'),
  kill('commit:committed'),
  kill('commit:committed', 'wiped'),
  kill('commit:stored'),
  kill('commit:stored', 'elsewhere'),
  kill('anywhere'),
  kill('anywhere'),
  kill('anywhere'),
  kill('anywhere', 'elsewhere'),
  { kind: 'kill-in-recovery', comeback: 'same' },
  { kind: 'kill-in-recovery', comeback: 'wiped' },
  { kind: 'zombie', wake: 'after-takeover' },
  { kind: 'zombie', wake: 'after-abort' },
  { kind: 'broker-kill' },
  { kind: 'close', leaves: true },
  { kind: 'close', leaves: false },
]

/** How many processes of the application a list of faults kills. */
export function killsOf(faults: readonly Fault[]): number {
  return faults.reduce((sum, { kind }) => sum + (kind === 'kill' ? 1 : kind === 'kill-in-recovery' ? 2 : 0), 0)
}

/** The faults of a run, in an order that the seed decides. */
export function planFaults(seed: number, quick: boolean): readonly PlannedFault[] {
  const random = new Random(seed)
  return random.shuffled(quick ? quickFaults : allFaults).map((fault, index) => ({
    fault,
    // The first needs something to hit; a zombie is to be one because it stood still.
    calm: index === 0 || fault.kind === 'zombie' || random.next() < 0.6,
    pauseMs: random.int(200, 2_500),
  }))
}
