import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Bench, BenchResult } from './bench.ts'
import { BenchError } from './bench-error.ts'
import { type BenchCommand, benchUsage, parseBenchCommand } from './command-line.ts'
import { gatewayBench } from './gateway/gateway-bench.ts'
import { leadPagesBench } from './lead-pages/lead-pages-bench.ts'
import { leadsBench } from './leads/leads-bench.ts'
import { queriesBench } from './queries/queries-bench.ts'
import { sinksBench } from './sinks/sinks-bench.ts'
import { streamsBench } from './streams/streams-bench.ts'

/** Every bench, by its name. */
const benches: Readonly<Record<string, Bench>> = {
  streams: streamsBench,
  gateway: gatewayBench,
  leads: leadsBench,
  'lead-pages': leadPagesBench,
  sinks: sinksBench,
  queries: queriesBench,
}

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
  const context = {
    command,
    scratch,
    environment: process.env,
    report: (line: string) => process.stdout.write(`${line}\n`),
    signal: stop.signal,
  }
  try {
    await bench(context, (result) => show(result, command))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function show({ figures, text }: BenchResult, { name, jsonFile }: BenchCommand): void {
  process.stdout.write(`\n${text}\n`)
  if (jsonFile === undefined) return
  const named = figures.map((figure) => ({ ...figure, bench: `${name}/${figure.bench}` }))
  mkdirSync(dirname(resolve(jsonFile)), { recursive: true })
  writeFileSync(jsonFile, `${JSON.stringify(named, null, 2)}\n`)
}
