import { KitError } from './errors.ts'
import { describeError } from './logger.ts'

/** Exit code of a service whose configuration is wrong (EX_CONFIG of sysexits.h). */
export const exitCodeConfig = 78

/**
 * Runs a `main`. A wrong configuration prints every problem to stderr, one per line, and exits with 78; any other error prints one JSON line
 * with its causes and exits with 1. For errors before, or without, an installed shutdown.
 */
export function runMain(main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    // Asked to stop while still starting: whoever installed the shutdown closes and exits.
    if (error instanceof KitError && error.code === 'ABORTED') return
    if (error instanceof KitError && error.code === 'INVALID_CONFIG') {
      process.stderr.write(`The configuration is wrong:\n${error.problems.map((p) => `  ${p}\n`).join('')}`)
      process.exit(exitCodeConfig)
    }
    process.stderr.write(
      `${JSON.stringify({ level: 'fatal', time: new Date().toISOString(), err: describeError(error) })}\n`,
    )
    process.exit(1)
  })
}
