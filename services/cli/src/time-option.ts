import { CommandError } from './command-error.ts'

/** The time of an option, in UNIX milliseconds; undefined when it was not given. Throws `USAGE`. */
export function timeOption(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) {
    throw new CommandError('USAGE', `--${name} "${text}" is no time: write it as 2026-11-21T09:30:00Z`)
  }
  return ms
}
