import type { GroupMetadata } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { type GroupCoordinator, membershipRefusal } from './group-coordinator.ts'
import { errorCode, isPassing, translate } from './protocol-error.ts'
import { backoffMs, pause } from './retry.ts'

/**
 * Why a generation ends: the group rebalances, and what we have is ours until we join again; or we were expelled, and it is not; or there is
 * nothing to go on with.
 */
export type Ending =
  | { readonly kind: 'rebalance' }
  | { readonly kind: 'lost'; readonly isMember: boolean }
  | { readonly kind: 'fatal'; readonly error: StreamsError }

/** How a heart beats. */
export interface HeartbeatOptions {
  readonly coordinator: Pick<GroupCoordinator, 'heartbeat'>
  readonly member: GroupMetadata
  readonly intervalMs: number
  readonly signal: AbortSignal
  readonly random: () => number
  /** Asked beside the beats, once at a time: true when the group should rebalance for a reason that only this member sees. */
  readonly wantsRebalance: () => Promise<boolean>
}

/** The heartbeats of one generation. They go on after a rebalance was announced, so that nobody is expelled while handlers run. */
export class Heartbeat {
  /** The first thing that ends the generation. Never rejects. */
  readonly ending: Promise<Ending>
  readonly #options: HeartbeatOptions
  readonly #end: (ending: Ending) => void
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #loss: Ending | undefined
  #isAnnounced = false
  #isLooking = false

  constructor(options: HeartbeatOptions) {
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<Ending>()
    this.ending = promise
    this.#end = resolve
    this.#signal = AbortSignal.any([this.#stop.signal, options.signal])
    void this.#beat()
  }

  /** That we were expelled, also when a rebalance was announced before; undefined as long as we were not. */
  get loss(): Ending | undefined {
    return this.#loss
  }

  /** Ends the generation as if a rebalance had been announced. */
  endGeneration(): void {
    this.#note(errorCode.rebalanceInProgress)
  }

  /** Ends the beats; `ending` resolves with `CLOSED` if it has not before. */
  stop(): void {
    this.#stop.abort()
  }

  /** Never rejects. */
  async #beat(): Promise<void> {
    let failures = 0
    while (this.#loss === undefined) {
      try {
        await pause(failures === 0 ? this.#options.intervalMs : backoffMs(failures, this.#options.random), this.#signal)
        const code = await this.#options.coordinator.heartbeat(this.#options.member)
        if (this.#signal.aborted) break
        failures = isPassing(code) ? failures + 1 : 0
        this.#note(code)
        void this.#look()
      } catch (error) {
        if (this.#signal.aborted) break
        const failure = translate(error, 'heartbeat')
        if (failure.code !== 'BROKER_UNAVAILABLE') this.#lose({ kind: 'fatal', error: failure })
        failures++
      }
    }
    this.#end({ kind: 'fatal', error: new StreamsError('CLOSED', 'the group member is closed') }) // no effect when it has ended before
  }

  /** Never rejects. The beats do not wait for it: a broker that does not answer takes longer to be given up than a session lasts. */
  async #look(): Promise<void> {
    if (this.#isAnnounced || this.#isLooking) return
    this.#isLooking = true
    try {
      const wantsRebalance = await this.#options.wantsRebalance()
      if (wantsRebalance && !this.#signal.aborted) this.#note(errorCode.rebalanceInProgress)
    } catch (error) {
      const failure = translate(error, 'looking whether the group should rebalance')
      if (failure.code !== 'BROKER_UNAVAILABLE' && !this.#signal.aborted) this.#lose({ kind: 'fatal', error: failure })
    }
    this.#isLooking = false
  }

  #note(code: number): void {
    if (code === errorCode.none || isPassing(code)) return
    if (code === errorCode.rebalanceInProgress) {
      this.#isAnnounced = true
      this.#end({ kind: 'rebalance' })
    } else if (code === errorCode.illegalGeneration || code === errorCode.unknownMemberId) {
      this.#lose({ kind: 'lost', isMember: code === errorCode.illegalGeneration })
    } else {
      this.#lose({ kind: 'fatal', error: membershipRefusal(code, this.#options.member.groupId) })
    }
  }

  #lose(ending: Ending): void {
    this.#loss = ending
    this.#end(ending)
  }
}
