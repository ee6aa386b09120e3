import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startServersAlone } from '../../deploy/local/src/servers-alone.ts'
import { attacks, isWhole, scoreLines, scoresOf } from './attack-report.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const usageExitCode = 2
const report = (line: string) => process.stdout.write(`${line}\n`)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`\n${error instanceof Error ? (error.stack ?? error.message) : error}\n`)
  process.exitCode = 1
}
// Nothing of ours is left to wait for, whatever a library may still hold open.
process.exit()

interface Command {
  readonly wanted: readonly string[]
  readonly proofsOnly: boolean
}

async function main(): Promise<number> {
  const command = parseCommand()
  if (command === undefined) return usageExitCode
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-security-'))
  try {
    return await runIn(scratch, command)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** What is wanted; undefined when only the usage is, or the command line is wrong. */
function parseCommand(): Command | undefined {
  const options = { prove: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } } as const
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true })
    const wanted = positionals.map((name) => name.toUpperCase())
    const unknown = wanted.find((name) => !attacks.some((attack) => attack === name))
    if (unknown !== undefined) throw new Error(`There is no attack "${unknown}".`)
    if (!values.help) return { wanted: wanted.length > 0 ? wanted : attacks, proofsOnly: values.prove }
  } catch (error) {
    report(`${error instanceof Error ? error.message : error}\n`)
  }
  report(`Usage:
  npm run test:security [-- S07 …]   attack the gateway and the running stack: all, or the attacks named (${attacks[0]} to ${attacks.at(-1)})
      --prove                          only the proofs: tests that each attack is noticed where its defence is missing

Starts servers and services of its own on free ports, or attacks those that MILLRACE_GATEWAY_URL and the other MILLRACE_* variables name.
Exit codes: 0 every attack was refused; 1 one was not, or was not tried; 2 wrong command line.`)
  return undefined
}

async function runIn(scratch: string, command: Command): Promise<number> {
  if (process.env.MILLRACE_GATEWAY_URL !== undefined) return await attack(scratch, command, process.env)
  const servers = await startServersAlone({
    folder: join(scratch, 'stack'),
    environment: process.env,
    report,
    signal: stop.signal,
  })
  try {
    await servers.startServices()
    return await attack(scratch, command, { ...process.env, ...servers.variables })
  } finally {
    await servers.stop()
  }
}

/** Runs the tests, and tells attack by attack how it went. */
async function attack(scratch: string, { wanted, proofsOnly }: Command, env: NodeJS.ProcessEnv): Promise<number> {
  const outcome = join(scratch, 'report.json')
  const files = wanted.map((name) => `test/security/${name.toLowerCase()}-`)
  const child = spawn(
    join(root, 'node_modules', '.bin', 'vitest'),
    [
      ...['run', '--project', 'security', '--reporter=default', '--reporter=json', `--outputFile.json=${outcome}`],
      ...(proofsOnly ? ['--testNamePattern', ' proof: '] : []),
      ...files,
    ],
    { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'], signal: stop.signal },
  )
  await new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  })
  if (!existsSync(outcome)) {
    report('Stopped before all was tried.')
    return 1
  }
  const scores = scoresOf(JSON.parse(readFileSync(outcome, 'utf8')), wanted)
  const shown = proofsOnly ? scores.filter(({ passed, failed }) => passed + failed > 0) : scores
  report(`\n${scoreLines(shown).join('\n')}\n`)
  const passed = shown.reduce((sum, score) => sum + score.passed, 0)
  const failed = shown.reduce((sum, score) => sum + score.failed, 0)
  report(`${passed} passed, ${failed} failed`)
  return isWhole(shown) ? 0 : 1
}
