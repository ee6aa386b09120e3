import { parseArgs } from 'node:util'
import { CommandError } from './command-error.ts'
import { timeOption } from './time-option.ts'

/** Who replays: the service whose code it is done with. */
export const replayPrograms = ['sink-clickhouse', 'processor'] as const
export type ReplayProgram = (typeof replayPrograms)[number]

/** What `millrace replay` works with. */
export interface ReplayDeps {
  /** Runs a service's `replay-main.ts` with these arguments; answers its exit code. */
  readonly run: (program: ReplayProgram, args: readonly string[]) => Promise<number>
  readonly nowMs: () => number
}

const usage =
  'millrace replay --topic events|stats --from TIME [--to TIME] --into-table NAME, or millrace replay --topic events --from TIME [--to TIME] --application-id ID [--into-topic NAME]'

/** `millrace replay …`. Answers the exit code. Throws `USAGE` when the command line is not right: then nothing was tried. */
export async function runReplay(args: readonly string[], { run, nowMs }: ReplayDeps): Promise<number> {
  const values = parsed(args)
  const { topic = '', 'into-table': table, 'application-id': applicationId } = values
  const toMs = timeOption(values.to, 'to') ?? nowMs()
  const fromMs = timeOption(values.from, 'from')
  if (fromMs === undefined) throw new CommandError('USAGE', `--from is missing: ${usage}`)
  if (fromMs >= toMs) throw new CommandError('USAGE', '--from must be before --to')
  if ((table === undefined) === (applicationId === undefined)) {
    throw new CommandError('USAGE', `say either --into-table or --application-id: ${usage}`)
  }
  if (table !== undefined) {
    requireOneOf(topic, ['events', 'stats'])
    requireName('into-table', table, /^[a-z_][a-z0-9_]{0,63}$/, 'small letters, digits and _')
    if (values['into-topic'] !== undefined) throw new CommandError('USAGE', '--into-topic goes with --application-id')
    return await run('sink-clickhouse', [topic, String(fromMs), String(toMs), table])
  }
  requireOneOf(topic, ['events'])
  const id = applicationId ?? ''
  const intoTopic = values['into-topic'] ?? `stats.${id}`
  requireName('application-id', id, /^[a-zA-Z0-9._-]{1,200}$/, 'letters, digits, dots, _ and -')
  requireName('into-topic', intoTopic, /^[a-zA-Z0-9._-]{1,249}$/, 'letters, digits, dots, _ and -')
  return await run('processor', [String(fromMs), String(toMs), id, intoTopic])
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const
  const options = {
    topic: text,
    from: text,
    to: text,
    'into-table': text,
    'application-id': text,
    'into-topic': text,
  } as const
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new CommandError('USAGE', `${error instanceof Error ? error.message : String(error)}: ${usage}`)
  }
}

function requireOneOf(topic: string, topics: readonly string[]): void {
  if (!topics.includes(topic)) throw new CommandError('USAGE', `--topic must be ${topics.join(' or ')}: ${usage}`)
}

function requireName(option: string, name: string, pattern: RegExp, letters: string): void {
  if (!pattern.test(name)) throw new CommandError('USAGE', `--${option} "${name}" must be a name of ${letters}`)
}
