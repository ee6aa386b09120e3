import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type FileResult, runCases } from './case-file.ts'

// `npm run test:conformance -- FILE.json…`: runs conformance case files, without arguments those of the project. Prints a line per failing
// case, then how many cases each operator keeps from running that the library does not have. Any failure makes the exit code 1.

await main(process.argv.slice(2))

async function main(files: readonly string[]): Promise<void> {
  const results: FileResult[] = []
  for (const file of files.length > 0 ? files : projectFiles()) {
    const result = await resultOf(file)
    for (const { name, difference } of result.failures) console.log(`${name}: ${difference}`)
    results.push(result)
  }
  for (const [operator, cases] of mostFirst(results)) console.log(`not supported: ${operator}, in ${cases} cases`)
  const passed = sum(results.map((result) => result.passed))
  const failed = sum(results.map((result) => result.failures.length))
  const skipped = sum(results.map((result) => result.skipped))
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  if (failed > 0) process.exitCode = 1
}

function projectFiles(): readonly string[] {
  const folder = join(import.meta.dirname, 'cases')
  return globSync('*.json', { cwd: folder })
    .sort()
    .map((file) => join(folder, file))
}

/** A file that cannot be read counts as one failure. */
async function resultOf(file: string): Promise<FileResult> {
  try {
    // npm runs scripts in the project's folder; INIT_CWD is the one where it was called.
    return await runCases(readFileSync(resolve(process.env.INIT_CWD ?? '.', file), 'utf8'))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return {
      passed: 0,
      failures: [{ name: file, difference: `the file cannot be run: ${reason}` }],
      skipped: 0,
      unsupported: new Map(),
    }
  }
}

function mostFirst(results: readonly FileResult[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>()
  for (const { unsupported } of results)
    for (const [operator, cases] of unsupported) counts.set(operator, (counts.get(operator) ?? 0) + cases)
  return [...counts].sort(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
