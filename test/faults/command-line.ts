import { parseArgs } from 'node:util'
import { FaultError } from './fault-error.ts'

/** What the person asked for. */
export interface FaultCommand {
  readonly suite: string
  /** Decides which faults come, in which order, and what the input is. Moments still differ from run to run. */
  readonly seed: number
  /** Fewer faults: to see that it works. */
  readonly quick: boolean
  /** A guarantee to be broken on purpose, to see that the run notices. */
  readonly sabotage: string | undefined
  /** Leave the data, the logs and the state directories, also when the run has passed. */
  readonly keep: boolean
}

/** A suite as the command line knows it. */
export interface KnownSuite {
  readonly title: string
  readonly sabotages: readonly string[]
}

const seedMax = 2 ** 31 - 1

const options = {
  seed: { type: 'string' },
  quick: { type: 'boolean', default: false },
  sabotage: { type: 'string' },
  keep: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/**
 * Reads the command line; undefined when help was asked for. `randomSeed` is taken when none is given. Throws a `FaultError` with the usage
 * when something in it is not known.
 */
export function parseFaultCommand(
  args: readonly string[],
  suites: Readonly<Record<string, KnownSuite>>,
  randomSeed: number,
): FaultCommand | undefined {
  const { values, positionals } = parsed(args, suites)
  const [name, ...rest] = positionals
  if (values.help) return undefined
  if (name === undefined) throw new FaultError(faultUsage(suites))
  const suite = suites[name]
  if (suite === undefined) throw new FaultError(`There is no suite "${name}".\n\n${faultUsage(suites)}`)
  if (rest.length > 0) throw new FaultError(`One suite at a time, not also "${rest.join(' ')}"`)
  const { sabotage } = values
  if (sabotage !== undefined && !suite.sabotages.includes(sabotage)) {
    throw new FaultError(`--sabotage of "${name}" must be one of ${suite.sabotages.join(', ')}, not "${sabotage}"`)
  }
  return {
    suite: name,
    seed: seedOf(values.seed) ?? randomSeed % seedMax,
    quick: values.quick,
    sabotage,
    keep: values.keep,
  }
}

/** The text of `--help`. */
export function faultUsage(suites: Readonly<Record<string, KnownSuite>>): string {
  const lines = Object.entries(suites).map(
    ([name, { title, sabotages }]) =>
      `  ${name.padEnd(10)} ${title}\n${' '.repeat(13)}sabotages: ${sabotages.join(', ')}`,
  )
  return `Usage:
  npm run test:faults -- SUITE     break things while it runs, then check what must hold
      --seed N                       the same faults and input as a run before (printed by each)
      --quick                        fewer faults: to see that it works
      --sabotage NAME                break a guarantee on purpose: the run must fail
      --keep                         leave data, logs and state directories

Suites:
${lines.join('\n')}

Exit codes: 0 passed; 1 a guarantee was broken, or the run could not be done; 2 wrong command line; 3 the faults did not hit.`
}

function parsed(args: readonly string[], suites: Readonly<Record<string, KnownSuite>>) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (cause) {
    throw new FaultError(`${cause instanceof Error ? cause.message : cause}\n\n${faultUsage(suites)}`, { cause })
  }
}

function seedOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seed = Number(text)
  if (text !== '' && Number.isInteger(seed) && seed >= 0 && seed <= seedMax) return seed
  throw new FaultError(`--seed must be a whole number from 0 to ${seedMax}, not "${text}"`)
}
