import { limits } from './limits.ts'

/** A member that may keep numbers warm, in order of seniority. */
export interface StandbyCandidate {
  /** Lags by number; a member with an empty map may be a standby, too. */
  readonly warm: ReadonlyMap<number, number>
  /** The numbers that it kept warm before. */
  readonly standbys: readonly number[]
  /** The numbers that it processes: never its standbys. */
  readonly owned: ReadonlySet<number>
  /** The numbers that it is to process as soon as they are warm: its standbys in any case, beside those of others. */
  readonly warmUps: readonly number[]
}

/** What is to be kept warm. */
export interface StandbyChoice {
  readonly candidates: readonly StandbyCandidate[]
  /** In ascending order. */
  readonly numbers: readonly number[]
  /** Members that shall keep each number warm beside its owner: fewer when there are not as many. */
  readonly perNumber: number
}

/**
 * Who keeps what warm, by candidate: first those who have the number warm already, up to an even share, then those with the least to do. Stable:
 * a candidate keeps what it had unless it has become the owner or others have less.
 */
export function chooseStandbys({ candidates, numbers, perNumber }: StandbyChoice): readonly (readonly number[])[] {
  const keepers = candidates.map((candidate) => new Keeper(candidate))
  const wanted = new Map(numbers.map((number) => [number, perNumber]))
  const give = (number: number, keeper: Keeper) => {
    keeper.numbers.push(number)
    wanted.set(number, (wanted.get(number) ?? 0) - 1)
  }
  const isWanted = (number: number) => (wanted.get(number) ?? 0) > 0
  const share = Math.ceil((numbers.length * perNumber) / Math.max(1, keepers.length))
  for (const number of numbers) {
    const warm = keepers.filter((keeper) => keeper.isKnown(number) && keeper.canKeep(number))
    warm.sort((one, other) => one.rankOf(number) - other.rankOf(number) || one.numbers.length - other.numbers.length)
    for (const keeper of warm) if (isWanted(number) && keeper.numbers.length < share) give(number, keeper)
  }
  for (const number of numbers) {
    while (isWanted(number)) {
      const keeper = leastBusy(keepers.filter((one) => one.canKeep(number)))
      if (keeper === undefined) break
      give(number, keeper)
    }
  }
  return keepers.map(({ numbers: chosen, candidate }) => [...chosen, ...candidate.warmUps])
}

class Keeper {
  readonly candidate: StandbyCandidate
  readonly numbers: number[] = []
  readonly #had: ReadonlySet<number>
  readonly #warmUps: ReadonlySet<number>

  constructor(candidate: StandbyCandidate) {
    this.candidate = candidate
    this.#had = new Set(candidate.standbys)
    this.#warmUps = new Set(candidate.warmUps)
  }

  isKnown(number: number): boolean {
    return this.#had.has(number) || this.candidate.warm.has(number)
  }

  canKeep(number: number): boolean {
    return !this.candidate.owned.has(number) && !this.#warmUps.has(number) && !this.numbers.includes(number)
  }

  /** Caught up and kept before, caught up, kept before, then by what is missing: that of copies which are caught up is noise. */
  rankOf(number: number): number {
    const lag = this.candidate.warm.get(number) ?? Number.MAX_VALUE
    const had = this.#had.has(number)
    if (lag <= limits.caughtUpLagMax) return had ? 0 : 1
    return had ? 2 : 2 + lag
  }
}

function leastBusy(keepers: readonly Keeper[]): Keeper | undefined {
  let best: Keeper | undefined
  for (const keeper of keepers) if (best === undefined || isLessBusy(keeper, best)) best = keeper
  return best
}

function isLessBusy(one: Keeper, other: Keeper): boolean {
  const difference = one.numbers.length - other.numbers.length || one.candidate.owned.size - other.candidate.owned.size
  return difference < 0
}
