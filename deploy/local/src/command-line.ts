import { parseArgs } from 'node:util'
import { portSettings } from './config.ts'
import { LauncherError } from './errors.ts'

/** What the person asked for. */
export type Command =
  | { readonly name: 'help' }
  | { readonly name: 'doctor' }
  | { readonly name: 'test'; readonly filters: readonly string[] }
  | { readonly name: 'load'; readonly options: LoadOptions }
  | {
      readonly name: 'up'
      readonly fresh: boolean
      readonly serversOnly: boolean
      readonly demo: DemoOptions | undefined
    }

/** How to replay the demonstration data. */
export interface DemoOptions {
  /** How many seconds of the data's own time pass in one second. */
  readonly speed: number
  /** Stop after so many events; undefined plays until the launcher stops. */
  readonly eventsMax: number | undefined
}

/** What to load a gateway with. What is undefined is up to the profile. */
export interface LoadOptions {
  /** A script of k6/, without its ending. */
  readonly profile: string
  /** A gateway that runs somewhere, in place of the stack of this machine. */
  readonly url: string | undefined
  /** Requests per second. */
  readonly rate: number | undefined
  /** As k6 writes durations: `90s`, `2m`. */
  readonly duration: string | undefined
  /** Where the measurements go as JSON. */
  readonly summaryFile: string | undefined
}

/** One second shows half an hour of flights: about five events. */
const speedDefault = 1_800
const speedMax = 1_000_000
/** The bound of the scripts. */
const loadRateMax = 100_000

/** Reads the command line. Throws BAD_OPTION with the usage when something in it is not known. */
export function parseCommand(args: readonly string[]): Command {
  const [name = 'help', ...rest] = args
  if (['help', '--help', '-h'].includes(name) || rest.includes('--help') || rest.includes('-h')) return { name: 'help' }
  if (name === 'doctor' && rest.length === 0) return { name: 'doctor' }
  if (name === 'test') return { name: 'test', filters: rest }
  if (name === 'load') return parseLoad(rest)
  if (name === 'up') return parseUp(rest)
  throw new LauncherError('BAD_OPTION', `Unknown command "${args.join(' ')}"\n\n${usage()}`)
}

function parseUp(args: readonly string[]): Command {
  const options = {
    fresh: { type: 'boolean', default: false },
    'servers-only': { type: 'boolean', default: false },
    demo: { type: 'boolean', default: false },
    speed: { type: 'string' },
    'demo-events': { type: 'string' },
  } as const
  const { values } = withUsage(() => parseArgs({ args: [...args], options, allowPositionals: false }))
  const speed = positive('--speed', values.speed, speedMax) ?? speedDefault
  const eventsMax = positive('--demo-events', values['demo-events'], Number.MAX_SAFE_INTEGER)
  if (!values.demo && (values.speed !== undefined || eventsMax !== undefined)) {
    throw new LauncherError('BAD_OPTION', '--speed and --demo-events belong to --demo: add it')
  }
  if (values.demo && values['servers-only'])
    throw new LauncherError('BAD_OPTION', '--demo needs the services: leave --servers-only out')
  return {
    name: 'up',
    fresh: values.fresh,
    serversOnly: values['servers-only'],
    demo: values.demo ? { speed, eventsMax } : undefined,
  }
}

function parseLoad(args: readonly string[]): Command {
  const options = {
    url: { type: 'string' },
    rate: { type: 'string' },
    duration: { type: 'string' },
    summary: { type: 'string' },
  } as const
  const { values, positionals } = withUsage(() => parseArgs({ args: [...args], options, allowPositionals: true }))
  const [profile, ...more] = positionals
  if (profile === undefined || more.length > 0)
    throw new LauncherError('BAD_OPTION', `load takes the name of one profile\n\n${usage()}`)
  const { url, duration } = values
  if (url !== undefined && !(URL.canParse(url) && /^https?:/.test(url)))
    throw new LauncherError('BAD_OPTION', `--url must be the address of a gateway, not "${url}"`)
  if (duration !== undefined && !/^(?=\d)(\d+h)?(\d+m)?(\d+s)?$/.test(duration))
    throw new LauncherError('BAD_OPTION', `--duration must be a duration such as 90s, 2m30s or 1h, not "${duration}"`)
  const rate = positive('--rate', values.rate, loadRateMax)
  return { name: 'load', options: { profile, url, rate, duration, summaryFile: values.summary } }
}

/** Runs the parser of an option list; what it throws comes with the usage. */
function withUsage<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new LauncherError('BAD_OPTION', `${cause instanceof Error ? cause.message : cause}\n\n${usage()}`, { cause })
  }
}

function positive(option: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isFinite(value) && value > 0 && value <= max) return value
  throw new LauncherError('BAD_OPTION', `${option} must be a number above 0 and at most ${max}, not "${text}"`)
}

/** The text of `--help`. */
export function usage(): string {
  const ports = portSettings.map(({ variable, title, fallback }) => {
    const value =
      typeof fallback === 'number'
        ? String(fallback)
        : `the port of ${portSettings.find(({ key }) => key === fallback.after)?.title} + 1`
    return `  ${variable.padEnd(38)}${title} (${value})`
  })
  return `Usage:
  npm start                        start everything: servers, services, page
  npm start -- --fresh             forget all data first
  npm start -- --servers-only      only Kafka, registry, MariaDB and ClickHouse; print the variables for our services
  npm start -- --demo              also replay flights of 2001 as events
      --speed N                      N seconds of the data in one second (default ${speedDefault})
      --demo-events N                stop after N events
  npm run doctor                   what this machine lacks, and the fix
  npm test [-- FILTER…]            types, lint, units, integration tests on servers of their own
  npm run load -- PROFILE          load the running stack, or one of its own, with k6; profiles: docs/load-tests.md
      --rate N --duration 90s        requests per second, and for how long (the profile's own, 30s)
      --url URL                      a gateway that runs elsewhere
      --summary FILE                 also write the measurements as JSON

Everything listens on 127.0.0.1 only. Ports, each with its variable (and default):
${ports.join('\n')}

Others:
  MILLRACE_DIR                          the data folder (.millrace in the project)
  MILLRACE_LOG_LEVEL                    fatal, error, warn, info (default), debug, trace
  MILLRACE_MYSQLD                       a mysqld or mariadbd of yours, in place of the MariaDB that is fetched

Data, logs and secrets are in .millrace/; logs of each server and service in .millrace/logs/.
`
}
