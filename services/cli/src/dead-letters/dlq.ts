import { parseArgs } from 'node:util'
import {
  chosenLetters,
  findLetter,
  type Letter,
  OperationsError,
  openLetters,
  placeOf,
  readLetters,
  replayLetters,
} from '@millrace/operations'
import type { Broker } from '@millrace/streams'
import { CommandError } from '../command-error.ts'
import { shownBytesMax } from '../limits.ts'
import { table } from '../table.ts'

/** What `millrace dlq` works on. */
export interface DlqDeps {
  readonly broker: Broker
  /** Topics that have a dead-letter topic, which is called TOPIC.dlq. */
  readonly topics: readonly string[]
  /** To standard output: what a script takes. */
  readonly print: (line: string) => void
  /** To standard error: what a person reads. */
  readonly tell: (line: string) => void
}

const usage =
  'millrace dlq list TOPIC [--all] | show TOPIC OFFSET | replay TOPIC [--offset N,…] [--reason CODE] [--dry-run]'

/** `millrace dlq …`. Throws `CommandError`, and what the broker throws. */
export async function runDlq(args: readonly string[], deps: DlqDeps): Promise<void> {
  try {
    await run(args, deps)
  } catch (error) {
    throw error instanceof OperationsError ? new CommandError('REFUSED', error.detail) : error
  }
}

async function run([command, ...rest]: readonly string[], deps: DlqDeps): Promise<void> {
  if (command === 'list') return await list(rest, deps)
  if (command === 'show') return await show(rest, deps)
  if (command === 'replay') return await replayChosen(rest, deps)
  throw new CommandError('USAGE', usage)
}

async function list(args: readonly string[], deps: DlqDeps): Promise<void> {
  const { values, topic } = read(args, { all: { type: 'boolean' } }, deps)
  const found = await readLetters(deps.broker, topic)
  const open = openLetters(found)
  const letters = values.all === true ? found.letters : open
  for (const line of table(
    ['OFFSET', 'RECORD', 'REASON', 'BYTES', 'TIME', 'STATE'],
    letters.map((letter) => rowOf(letter, open.includes(letter) ? 'open' : stateOf(letter, found.replayed))),
  ))
    deps.print(line)
  deps.tell(`${open.length} records of ${topic} wait; ${found.replayed.size} were replayed`)
}

function rowOf(letter: Letter, state: string): readonly string[] {
  const { offset, exception, valueBytes, timestamp } = letter
  const time = timestamp < 0 ? '' : new Date(timestamp).toISOString()
  return [String(offset), placeOf(letter), exception, String(valueBytes), time, letter.isOmitted ? 'too large' : state]
}

function stateOf(letter: Letter, replayed: ReadonlySet<string>): string {
  return replayed.has(placeOf(letter)) ? 'replayed' : 'again'
}

async function show(args: readonly string[], deps: DlqDeps): Promise<void> {
  const { topic, others } = read(args, {}, deps, 1)
  const offset = offsetOf(others[0] ?? '')
  const found = await findLetter(deps.broker, topic, offset)
  if (found === undefined) throw new CommandError('REFUSED', `${topic} has no letter at offset ${offset}`)
  const { key, value, headers, ...rest } = found
  const shown = {
    ...rest,
    key: contentOf(key),
    value: contentOf(value),
    headers: headers.map((header) => ({ key: header.key, value: contentOf(header.value) })),
  }
  deps.print(JSON.stringify(shown, undefined, 2))
}

/** Base64 of what is shown, and its text with everything that a terminal would obey taken out. */
function contentOf(bytes: Buffer | null) {
  if (bytes === null) return null
  const head = bytes.subarray(0, shownBytesMax)
  return { bytes: bytes.length, text: head.toString('utf8').replace(/\p{Cc}/gu, '?'), base64: head.toString('base64') }
}

async function replayChosen(args: readonly string[], deps: DlqDeps): Promise<void> {
  const options = { offset: { type: 'string' }, reason: { type: 'string' }, 'dry-run': { type: 'boolean' } } as const
  const { values, topic } = read(args, options, deps)
  const texts = typeof values.offset === 'string' ? values.offset.split(',') : []
  const exception = typeof values.reason === 'string' ? values.reason : undefined
  const choice = { offsets: new Set(texts.map(offsetOf)), exception }
  if (values['dry-run'] === true) {
    const chosen = chosenLetters(await readLetters(deps.broker, topic), choice)
    for (const letter of chosen.values()) deps.print(rowOf(letter, 'open').join('  '))
    deps.tell(`${chosen.size} records would go back`)
    return
  }
  const { replayed, omitted } = await replayLetters(deps.broker, topic, choice)
  deps.tell(`${replayed} records went back to where they came from`)
  if (omitted.length > 0) {
    const places = omitted.join(', ')
    throw new CommandError('REFUSED', `the values of the letters at ${places} were too large to be kept: see RECORD`)
  }
}

function offsetOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new CommandError('USAGE', `"${text}" is no offset: it is a whole number, the first column of millrace dlq list`)
}

function read(
  args: readonly string[],
  options: NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>,
  { topics }: DlqDeps,
  more = 0,
) {
  const { values, positionals } = parsed(args, options)
  const [topic, ...others] = positionals
  if (topic === undefined || others.length !== more) throw new CommandError('USAGE', usage)
  const base = topic.endsWith('.dlq') ? topic.slice(0, -'.dlq'.length) : topic
  if (!topics.includes(base))
    throw new CommandError('USAGE', `"${topic}" has no dead letters: ${topics.join(', ')} have`)
  return { values, topic: `${base}.dlq`, others }
}

function parsed(
  args: readonly string[],
  options: NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw new CommandError('USAGE', error instanceof Error ? error.message : String(error))
  }
}
