import { type AppliedMigration, byName, type Migration } from './migration-files.ts'

/** What a database says of one migration. `changed`: its file is not what was applied. `unknown`: applied by another version, which has a file for it. */
export const migrationStates = ['applied', 'pending', 'changed', 'unknown'] as const
export type MigrationState = (typeof migrationStates)[number]

/** One migration, and whether a database has it. */
export interface MigrationStatus {
  readonly name: string
  readonly state: MigrationState
  /** When it was applied; null when it was not. */
  readonly appliedAt: Date | null
}

/** A migration that was applied, and when. */
export interface DatedMigration extends AppliedMigration {
  readonly appliedAt: Date
}

/** Compares this version's migrations with what a database has, by name. Changes nothing, and throws nothing: what is wrong with them is in the states. */
export function migrationStatus(
  migrations: readonly Migration[],
  applied: readonly DatedMigration[],
): readonly MigrationStatus[] {
  const done = new Map(applied.map((migration) => [migration.name, migration]))
  const known = new Set(migrations.map(({ name }) => name))
  const ours = migrations.map(({ name, checksum }): MigrationStatus => {
    const found = done.get(name)
    if (found === undefined) return { name, state: 'pending', appliedAt: null }
    return { name, state: found.checksum === checksum ? 'applied' : 'changed', appliedAt: found.appliedAt }
  })
  const others = applied
    .filter(({ name }) => !known.has(name))
    .map(({ name, appliedAt }): MigrationStatus => ({ name, state: 'unknown', appliedAt }))
  return [...ours, ...others.sort(byName)]
}
