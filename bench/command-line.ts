import { parseArgs } from 'node:util'
import { BenchError } from './bench-error.ts'

/** Whom a bench measures. */
export const sides = ['ours', 'peer'] as const
export type Side = (typeof sides)[number]

/** What the person asked for. */
export interface BenchCommand {
  readonly name: string
  /** Fewer records and one run: to see that it works. */
  readonly quick: boolean
  readonly runs: number
  /** Only these jobs; empty for all. */
  readonly only: readonly string[]
  readonly sides: readonly Side[]
  /** A broker that runs already, as `host:port`; one of our own when undefined. */
  readonly broker: string | undefined
  /** Leave the input topics for the next run, and a broker of our own running until Ctrl-C. */
  readonly keep: boolean
  /** Leads of one run in bulk; the bench's own number when undefined. */
  readonly leads: number | undefined
  /** Where the figures go as JSON. */
  readonly jsonFile: string | undefined
  /** Where our processes leave CPU profiles. */
  readonly profileFolder: string | undefined
}

const runsMax = 20
const leadsMax = 10_000_000

const options = {
  quick: { type: 'boolean', default: false },
  runs: { type: 'string' },
  only: { type: 'string', multiple: true, default: [] as string[] },
  side: { type: 'string' },
  broker: { type: 'string' },
  keep: { type: 'boolean', default: false },
  leads: { type: 'string' },
  json: { type: 'string' },
  profile: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Reads the command line; undefined when help was asked for. Throws a `BenchError` with the usage when something in it is not known. */
export function parseBenchCommand(args: readonly string[], names: readonly string[]): BenchCommand | undefined {
  const { values, positionals } = parsed(args, names)
  if (values.help || positionals.length === 0) return undefined
  const [name = '', ...rest] = positionals
  if (!names.includes(name)) throw new BenchError(`There is no bench "${name}".\n\n${benchUsage(names)}`)
  if (rest.length > 0)
    throw new BenchError(`One bench at a time, not also "${rest.join(' ')}".\n\n${benchUsage(names)}`)
  return {
    name,
    quick: values.quick,
    runs: countOf('--runs', values.runs, runsMax) ?? (values.quick ? 1 : 2),
    only: values.only.flatMap((text) => text.split(',')),
    sides: sidesOf(values.side),
    broker: values.broker,
    keep: values.keep,
    leads: countOf('--leads', values.leads, leadsMax),
    jsonFile: values.json,
    profileFolder: values.profile,
  }
}

/** The jobs of a bench that `--only` names, in the bench's order; all when it names none. Throws a `BenchError` when it names others. */
export function chosenNames<N extends string>(names: readonly N[], only: readonly string[]): readonly N[] {
  const unknown = only.filter((name) => !names.some((known) => known === name))
  if (unknown.length > 0)
    throw new BenchError(`There is no job "${unknown.join('", "')}" in this bench; it has ${names.join(', ')}.`)
  return only.length === 0 ? names : names.filter((name) => only.includes(name))
}

/** The text of `--help`. */
export function benchUsage(names: readonly string[]): string {
  return `Usage:
  npm run bench -- NAME            measure; NAME is one of: ${names.join(', ')}
      --quick                        fewer records, one run: to see that it works
      --runs N                       how often each side runs, in turns (default 2, with --quick 1)
      --only JOB[,JOB…]              only these jobs of the bench
      --side ours|peer               only one side: nothing is compared then
      --leads N                      leads: so many of them in bulk, in place of a million or, with --quick, 50,000
      --json FILE                    also write the figures as JSON
      --broker HOST:PORT             use a Kafka that runs already, in place of one started for this
      --keep                         leave the input topics, and our Kafka until Ctrl-C, for more runs with --broker
      --profile FOLDER               CPU profiles of our side, for the developer tools of a browser`
}

function parsed(args: readonly string[], names: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (cause) {
    throw new BenchError(`${cause instanceof Error ? cause.message : cause}\n\n${benchUsage(names)}`, { cause })
  }
}

function countOf(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= most) return count
  throw new BenchError(`${option} must be a whole number from 1 to ${most}, not "${text}"`)
}

function sidesOf(text: string | undefined): readonly Side[] {
  if (text === undefined) return sides
  const side = sides.find((known) => known === text)
  if (side === undefined) throw new BenchError(`--side must be one of ${sides.join(', ')}, not "${text}"`)
  return [side]
}
