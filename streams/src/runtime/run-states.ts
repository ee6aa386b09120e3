import { StreamsError } from '../core/errors.ts'

/**
 * What a streams application is doing.
 *
 *     created ──▶ starting ──▶ recovering ◀──▶ running
 *        │           │             │              │
 *        │           ├─────────────┴──────┬───────┤
 *        ▼           ▼                    ▼       ▼
 *     closed ◀── closing ◀──────────── failed   closing
 *
 * - starting: topics are checked and created, the state directory is ours;
 * - recovering: the group gives out partitions, or stores are rebuilt; tasks that are ready are processed meanwhile;
 * - running: all tasks that are ours are processed (or there are none for us);
 * - closing: the last commit, then everything is closed;
 * - failed: an error that another attempt would not cure; still to be closed.
 */
export const runStates = ['created', 'starting', 'recovering', 'running', 'closing', 'closed', 'failed'] as const
export type RunState = (typeof runStates)[number]

const transitions: Readonly<Record<RunState, readonly RunState[]>> = {
  created: ['starting', 'closed'],
  starting: ['recovering', 'closing', 'failed'],
  recovering: ['running', 'closing', 'failed'],
  running: ['recovering', 'closing', 'failed'],
  closing: ['closed', 'failed'],
  failed: ['closing', 'closed'],
  closed: [],
}

/** The state of one application: changes only along the table above. */
export class RunStateMachine {
  #state: RunState = 'created'
  readonly #onChange: (to: RunState, from: RunState) => void

  constructor(onChange: (to: RunState, from: RunState) => void) {
    this.#onChange = onChange
  }

  get state(): RunState {
    return this.#state
  }

  /** Throws `INVALID_STATE` for a change that is not in the table; a change to the present state is none. */
  moveTo(to: RunState): void {
    const from = this.#state
    if (from === to) return
    if (!transitions[from].includes(to)) {
      throw new StreamsError('INVALID_STATE', `a streams application that is ${from} cannot become ${to}`)
    }
    this.#state = to
    this.#onChange(to, from)
  }
}
