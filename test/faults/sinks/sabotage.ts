import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FaultError } from '../fault-error.ts'

/** A change of a source file of the product, as a sink of a run loads it. */
export interface CodeSabotage {
  /** From the root of the repository. */
  readonly file: string
  /** Is there once, or the sabotage is out of date. */
  readonly replace: string
  readonly by: string
}

/** Each takes one step of the way to exactly once away; the files stay as they are. */
export const codeSabotages: Readonly<Record<string, CodeSabotage>> = {
  // At most once: the range counts as done before it is written.
  'commit-first': {
    file: 'streams/src/sink/intent-offsets.ts',
    replace: 'offset: firstOffset, metadata }',
    by: "offset: nextOffset, metadata: '' }",
  },
  // At least once: whoever comes after cuts the range anew.
  'forget-intents': {
    file: 'streams/src/sink/intent-offsets.ts',
    replace: 'if (intent === undefined || intent.first !== offset) return { offset }',
    by: 'if (intent !== undefined || intent === undefined) return { offset }',
  },
  // The offset is committed before the rows are.
  'offset-apart': {
    file: 'storage/src/mysql/sink-range.ts',
    replace: 'const isNext = await advanceFrom(database, range, options.now)',
    by: 'const isNext = await advanceFrom(database, range, options.now); if (isNext) await database.execute(sql`COMMIT`)',
  },
  // What follows from a batch counts as told when its rows are stored.
  'settle-early': {
    file: 'services/sink-mysql/src/lead-sink.ts',
    replace: 'settledOffset: firstOffset }',
    by: 'settledOffset: nextOffset }',
  },
}

/** The same for the suite of poison. */
export const poisonSabotages: Readonly<Record<string, CodeSabotage>> = {
  'swallow-letters': {
    file: 'streams/src/sink/dead-letter.ts',
    replace: 'if (letters.length === 0) return',
    by: 'if (letters.length >= 0) return',
  },
}

const hooks = join(import.meta.dirname, 'sabotage-hooks.ts')
const root = join(import.meta.dirname, '../../..')

/** The modules that a sink has to load first for a sabotage; none for one that does not change code. */
export function preloadOf(name: string | undefined, folder: string): readonly string[] {
  const sabotage = name === undefined ? undefined : (codeSabotages[name] ?? poisonSabotages[name])
  if (sabotage === undefined) return []
  const { file, replace, by } = sabotage
  const settings = { url: pathToFileURL(join(root, file)).href, replace, by }
  const preload = join(folder, 'sabotage.mjs')
  writeFileSync(
    preload,
    `import { sabotage } from ${JSON.stringify(pathToFileURL(hooks).href)}\nsabotage(${JSON.stringify(settings)})\n`,
  )
  return [preload]
}

/** The source with the change. Throws a `FaultError` when what is to be replaced is not there once. */
export function sabotagedSource(source: string, { replace, by }: Pick<CodeSabotage, 'replace' | 'by'>): string {
  const parts = source.split(replace)
  if (parts.length !== 2) throw new FaultError(`"${replace}" is in the source ${parts.length - 1} times, not once`)
  return parts.join(by)
}
