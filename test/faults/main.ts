import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FaultCommand, faultUsage, parseFaultCommand } from './command-line.ts'
import { engineSuite } from './engine/engine-suite.ts'
import { FaultError } from './fault-error.ts'
import { gatewaySuite } from './gateway/gateway-suite.ts'
import { outageSuite } from './outage/outage-suite.ts'
import { poisonSuite } from './poison/poison-suite.ts'
import { sinksSuite } from './sinks/sinks-suite.ts'
import { exitCodes, type FaultSuite, type Verdict } from './suite.ts'

/** Every suite, by its name. */
const suites: Readonly<Record<string, FaultSuite>> = {
  engine: engineSuite,
  gateway: gatewaySuite,
  sinks: sinksSuite,
  outage: outageSuite,
  poison: poisonSuite,
}

const usageExitCode = 2
const report = (line: string) => process.stdout.write(`${line}\n`)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`\n${textOf(error)}\n`)
  process.exitCode = exitCodes.failed
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
  return exitCodes[await runIn(mkdtempSync(join(tmpdir(), 'millrace-faults-')), suite, command)]
}

/** Runs a suite in a folder, and deletes the folder unless something is to be looked at. */
async function runIn(scratch: string, suite: FaultSuite, command: FaultCommand): Promise<Verdict> {
  report(`seed ${command.seed}`)
  let verdict: Verdict = 'failed'
  try {
    verdict = await suite.run({ command, scratch, environment: process.env, report, signal: stop.signal })
  } catch (error) {
    process.stderr.write(`\n${textOf(error)}\n`)
    report(`faults: ${command.suite}: ${stop.signal.aborted ? 'stopped' : 'failed'}`)
  }
  const isWanted = command.keep || (verdict !== 'passed' && command.sabotage === undefined && !stop.signal.aborted)
  if (isWanted) report(`logs, state and data are left in ${scratch}`)
  else rmSync(scratch, { recursive: true, force: true })
  return verdict
}

function textOf(error: unknown): string {
  if (stop.signal.aborted) return 'Stopped before it was done'
  return error instanceof FaultError ? error.message : error instanceof Error ? (error.stack ?? '') : String(error)
}
