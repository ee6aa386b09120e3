import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { faultUsage, parseFaultCommand } from './command-line.ts'
import { engineSuite } from './engine/engine-suite.ts'
import { FaultError } from './fault-error.ts'
import { exitCodes, type FaultSuite } from './suite.ts'

/** Every suite, by its name. */
const suites: Readonly<Record<string, FaultSuite>> = { engine: engineSuite }

const usageExitCode = 2
const report = (line: string) => process.stdout.write(`${line}\n`)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

process.exitCode = 1
try {
  process.exitCode = await main()
} catch (error) {
  const text = error instanceof FaultError ? error.message : error instanceof Error ? error.stack : error
  process.stderr.write(`\n${stop.signal.aborted ? 'Stopped before it was done' : text}\n`)
}
// Nothing of ours is left to wait for, whatever a library may still hold open.
process.exit()

async function main(): Promise<number> {
  let command: ReturnType<typeof parseFaultCommand>
  try {
    command = parseFaultCommand(process.argv.slice(2), suites, randomInt(2 ** 31 - 1))
  } catch (error) {
    if (!(error instanceof FaultError)) throw error
    process.stderr.write(`${error.message}\n`)
    return usageExitCode
  }
  const suite = command && suites[command.suite]
  if (command === undefined || suite === undefined) {
    report(faultUsage(suites))
    return 0
  }
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-faults-'))
  report(`seed ${command.seed}${command.keep ? `, files in ${scratch}` : ''}`)
  try {
    return exitCodes[await suite.run({ command, scratch, environment: process.env, report, signal: stop.signal })]
  } finally {
    if (!command.keep) rmSync(scratch, { recursive: true, force: true })
  }
}
