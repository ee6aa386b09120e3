import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { StorageError } from './errors.ts'

/** One forward-only step of a database's schema: a numbered `.sql` file. */
export interface Migration {
  /** The file's name without `.sql`, for instance `0001_initial`. */
  readonly name: string
  /** SHA-256 of the text, in hex, with line breaks as LF. */
  readonly checksum: string
  readonly statements: readonly string[]
}

/** A migration that the database says was applied. */
export interface AppliedMigration {
  readonly name: string
  readonly checksum: string
}

const namePattern = /^(\d{4})_[a-z0-9_]+\.sql$/

/** Reads the migrations of a folder, in order. Throws `MIGRATION_FAILED` for a misnamed file or a gap in the numbers. */
export function readMigrations(folder: URL): readonly Migration[] {
  const files = readdirSync(folder).sort()
  return files.map((file, index) => {
    const number = Number(namePattern.exec(file)?.[1])
    if (number !== index + 1) {
      const expected = String(index + 1).padStart(4, '0')
      throw new StorageError('MIGRATION_FAILED', `Migration "${file}" must be named ${expected}_<words>.sql`)
    }
    return parseMigration(file.slice(0, -'.sql'.length), readFileSync(new URL(file, folder), 'utf8'))
  })
}

/** Splits a migration into its statements: each ends with a semicolon at the end of a line; lines that start with `--` are comments. */
export function parseMigration(name: string, text: string): Migration {
  const source = text.replaceAll('\r\n', '\n')
  const statements = source
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('--'))
    .join('\n')
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
  return { name, checksum: createHash('sha256').update(source).digest('hex'), statements }
}

/**
 * The migrations that are still to be applied, in order. Throws `MIGRATION_FAILED` when the database was migrated by another line of
 * history: a file that was changed after it had been applied, or one that this checkout does not have.
 */
export function pendingMigrations(
  migrations: readonly Migration[],
  applied: readonly AppliedMigration[],
): readonly Migration[] {
  for (const [index, done] of [...applied].sort(byName).entries()) {
    const migration = migrations[index]
    if (migration?.name !== done.name) {
      throw new StorageError(
        'MIGRATION_FAILED',
        `The database has migration "${done.name}" where this version has "${migration?.name ?? 'none'}": it was migrated by another, probably newer, version`,
      )
    }
    if (migration.checksum !== done.checksum) {
      throw new StorageError(
        'MIGRATION_FAILED',
        `Migration "${done.name}" was changed after it had been applied: undo the change and add a new migration`,
      )
    }
  }
  return migrations.slice(applied.length)
}

/** Orders migrations by their names, and so by their numbers. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}
