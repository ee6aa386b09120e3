import { parseArgs } from 'node:util'

/** What `millrace replay` was asked for. */
export interface ReplayArguments {
  readonly topic: string
  readonly fromMs: number
  readonly toMs: number
  readonly table: string
}

/** The command line is not right: nothing was tried. */
export class ReplayUsageError extends Error {
  override readonly name = 'ReplayUsageError'
}

const usage = 'millrace replay --topic events|stats --from TIME [--to TIME] --into-table NAME'

/** Reads the command line. `tables` are those that the topics land in: a replay goes into none of them. Throws `ReplayUsageError`. */
export function readReplayArguments(
  args: readonly string[],
  {
    topics,
    tables,
    nowMs,
  }: { readonly topics: readonly string[]; readonly tables: readonly string[]; readonly nowMs: number },
): ReplayArguments {
  const values = parsed(args)
  const topic = values.topic ?? ''
  if (!topics.includes(topic)) throw new ReplayUsageError(`--topic must be one of ${topics.join(', ')}: ${usage}`)
  const fromMs = timeOf(values.from, 'from')
  const toMs = values.to === undefined ? nowMs : timeOf(values.to, 'to')
  if (fromMs >= toMs) throw new ReplayUsageError('--from must be before --to')
  const table = values['into-table'] ?? ''
  if (!/^[a-z_][a-z0-9_]{0,63}$/.test(table)) {
    throw new ReplayUsageError(`--into-table must be a name of small letters, digits and _: ${usage}`)
  }
  if (tables.includes(table)) throw new ReplayUsageError(`--into-table ${table} is in use: name a new table`)
  return { topic, fromMs, toMs, table }
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const
  try {
    return parseArgs({ args: [...args], options: { topic: text, from: text, to: text, 'into-table': text } }).values
  } catch (error) {
    throw new ReplayUsageError(`${error instanceof Error ? error.message : String(error)}: ${usage}`)
  }
}

function timeOf(text: string | undefined, name: string): number {
  const ms = Date.parse(text ?? '')
  if (Number.isNaN(ms)) throw new ReplayUsageError(`--${name} must be a time, as 2026-11-21T09:30:00Z`)
  return ms
}
