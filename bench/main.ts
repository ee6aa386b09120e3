import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Bench } from './bench.ts'
import { BenchError } from './bench-error.ts'
import { benchUsage, parseBenchCommand } from './command-line.ts'
import { streamsBench } from './streams/streams-bench.ts'

/** Every bench, by its name. */
const benches: Readonly<Record<string, Bench>> = { streams: streamsBench }

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

try {
  await main()
} catch (error) {
  const text = error instanceof BenchError ? error.message : error instanceof Error ? error.stack : error
  if (!stop.signal.aborted) process.stderr.write(`\n${text}\n`)
  process.exitCode = 1
}
// Nothing of ours is left to wait for, whatever a library may still hold open.
process.exit()

async function main(): Promise<void> {
  const names = Object.keys(benches)
  const command = parseBenchCommand(process.argv.slice(2), names)
  const bench = command && benches[command.name]
  if (command === undefined || bench === undefined) {
    process.stdout.write(`${benchUsage(names)}\n`)
    return
  }
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const { figures, text } = await bench({
      command,
      scratch,
      environment: process.env,
      report: (line) => process.stdout.write(`${line}\n`),
      signal: stop.signal,
    })
    process.stdout.write(`\n${text}\n`)
    if (command.jsonFile === undefined) return
    mkdirSync(dirname(resolve(command.jsonFile)), { recursive: true })
    writeFileSync(command.jsonFile, `${JSON.stringify(figures, null, 2)}\n`)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
