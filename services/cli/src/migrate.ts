import { parseArgs } from 'node:util'
import { type MigrationStatus, type MigrationTarget, StorageError } from '@millrace/storage/mysql'
import { CommandError } from './command-error.ts'
import { table } from './table.ts'

/** What `millrace migrate` works on. */
export interface MigrateDeps {
  /** By the word that chooses one; in the order in which they are migrated. Opened when they are needed. */
  readonly databases: Readonly<Record<string, () => MigrationTarget>>
  /** Waits until the server answers. */
  readonly ready: (target: MigrationTarget) => Promise<void>
  /** To standard output: what a script takes. */
  readonly print: (line: string) => void
  /** To standard error: what a person reads. */
  readonly tell: (line: string) => void
}

/**
 * `millrace migrate …`: brings the databases to this version, or, with `--dry-run`, tells what they have and changes nothing. Throws `CommandError` when a database
 * has migrations that this version does not, or others under the same name; what is wrong with the server otherwise is thrown as it is.
 */
export async function runMigrate(args: readonly string[], { databases, ...deps }: MigrateDeps): Promise<void> {
  const { chosen, dryRun } = read(args, Object.keys(databases))
  const refused: string[] = []
  for (const name of chosen) {
    const target = databases[name]?.()
    if (target === undefined) continue
    try {
      await deps.ready(target)
      if (dryRun) await report(target, deps, refused)
      else await apply(target, deps)
    } finally {
      await target.close()
    }
  }
  if (refused.length > 0) {
    throw new CommandError('REFUSED', `${refused.join('; ')}: a migration would be refused. It changes no history`)
  }
}

async function apply(target: MigrationTarget, { print }: Pick<MigrateDeps, 'print'>): Promise<void> {
  try {
    const applied = await target.migrate()
    print(`${target.name} ${applied.length === 0 ? 'is up to date' : `was migrated: ${applied.join(', ')}`}`)
  } catch (error) {
    if (error instanceof StorageError && error.code === 'MIGRATION_FAILED') {
      throw new CommandError('REFUSED', error.message)
    }
    throw error
  }
}

async function report(
  target: MigrationTarget,
  { print, tell }: Pick<MigrateDeps, 'print' | 'tell'>,
  refused: string[],
): Promise<void> {
  const status = await target.status()
  const rows = status.map(({ name, state, appliedAt }) => [target.name, name, state, appliedAt?.toISOString() ?? ''])
  for (const line of table(['DATABASE', 'MIGRATION', 'STATE', 'APPLIED'], rows)) print(line)
  const pending = status.filter(({ state }) => state === 'pending').length
  tell(`${target.name}: ${pending === 0 ? 'nothing to do' : `${pending} to be applied`}`)
  const wrong = status.filter(isWrong)
  if (wrong.length > 0) {
    refused.push(`${target.name} has ${wrong.map(({ name, state }) => `${name} ${state}`).join(', ')}`)
  }
}

function isWrong({ state }: MigrationStatus): boolean {
  return state === 'changed' || state === 'unknown'
}

function read(args: readonly string[], names: readonly string[]) {
  try {
    const options = { 'dry-run': { type: 'boolean' } } as const
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const [name, ...more] = positionals
    if (more.length > 0 || (name !== undefined && !names.includes(name))) throw new Error(usageOf(names))
    return { chosen: name === undefined ? names : [name], dryRun: values['dry-run'] === true }
  } catch (error) {
    throw new CommandError('USAGE', error instanceof Error ? error.message : usageOf(names))
  }
}

function usageOf(names: readonly string[]): string {
  return `millrace migrate [${names.join('|')}] [--dry-run]`
}
