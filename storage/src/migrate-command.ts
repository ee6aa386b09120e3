import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { StorageError } from './errors.ts'
import type { MigrationTarget } from './migration-target.ts'

/** Variables by name, as the process has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** How long a migration waits for a server that is not up yet. */
const serverDeadlineMs = 60_000
const attemptPauseMs = 500

/** Exit code for a wrong configuration (EX_CONFIG of sysexits.h). */
const exitCodeConfig = 78

/** The value of `name`, or of the file that `name`_FILE names, or the default. An empty variable counts as not set. */
export function variable(env: Environment, name: string, fallback?: string): string {
  const file = env[`${name}_FILE`]
  if (file !== undefined && file !== '') return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  const value = env[name]
  if (value !== undefined && value !== '') return value
  if (fallback !== undefined) return fallback
  throw new ConfigurationError(`${name} is not set and has no default (or set ${name}_FILE)`)
}

/** A TCP port. */
export function portVariable(env: Environment, name: string, fallback: string): number {
  const text = variable(env, name, fallback)
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535)
    throw new ConfigurationError(`${name} must be a port from 1 to 65535; got "${text}"`)
  return port
}

/** A whole number in bounds; undefined when it is not set. */
export function numberVariable(
  env: Environment,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = variable(env, name, '')
  if (text === '') return undefined
  const number = Number(text)
  if (!/^\d{1,15}$/.test(text) || number < min || number > max)
    throw new ConfigurationError(`${name} must be a whole number from ${min} to ${max}; got "${text}"`)
  return number
}

class ConfigurationError extends Error {}

/** Runs a migration command: waits for the server, migrates, says what was done, and exits with 0, 1 (failed) or 78 (wrong configuration). */
export async function runMigration(open: () => MigrationTarget): Promise<void> {
  try {
    const target = open()
    try {
      await waitForServer(target)
      const applied = await target.migrate()
      const done = applied.length === 0 ? 'is up to date' : `was migrated: ${applied.join(', ')}`
      process.stdout.write(`${target.name} ${done}\n`)
    } finally {
      await target.close()
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = error instanceof ConfigurationError ? exitCodeConfig : 1
  }
}

async function waitForServer(target: MigrationTarget): Promise<void> {
  const startedMs = performance.now()
  for (let attempt = 1; ; attempt++) {
    try {
      await target.ping()
      return
    } catch (error) {
      const waitable = error instanceof StorageError && error.retryable
      if (!waitable || performance.now() - startedMs > serverDeadlineMs) throw error
      if (attempt === 1) process.stderr.write(`Waiting for ${target.name}: ${error.message}\n`)
      await delay(attemptPauseMs)
    }
  }
}
