import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const here = fileURLToPath(new URL('.', import.meta.url))
const requirements = join(here, 'requirements.txt')

/** What Schemathesis 4.32 runs on. */
const pythonMinorMin = 11

/** How a command ended, and all that it printed. */
export interface Ended {
  readonly code: number | null
  readonly output: string
}

/** Whom Schemathesis speaks for, and how much it tries. */
export interface ContractRun {
  readonly gatewayUrl: string
  /** Of the requests that need one. */
  readonly authorization: string
  /** To log in anew, where a request ends its session. */
  readonly account: { readonly username: string; readonly password: string }
  /** Random requests per operation, besides the examples and the bounds of every parameter. */
  readonly examples: number
  readonly seed: number
}

/**
 * Answers where Schemathesis is, in a virtual environment below the project's own `.millrace`: made when there is none yet, of exactly the packages that
 * requirements.txt names by hash. Throws with the fix when Python or one of its parts is missing.
 */
export async function installSchemathesis(): Promise<string> {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12)
  const home = join(root, '.millrace', `schemathesis-${digest}`)
  const command = join(home, 'bin', 'schemathesis')
  const complete = join(home, 'complete')
  if (existsSync(complete)) return command
  const python = await findPython()
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  const made = await run(python, ['-m', 'venv', home])
  if (made.code !== 0) {
    throw new Error(
      `${python} cannot make a virtual environment. Fix: install its module (Debian, Ubuntu: "apt-get install python3-venv"). It said:\n${made.output}`,
    )
  }
  const flags = ['--require-hashes', '--disable-pip-version-check', '--no-input', '--quiet']
  const installed = await run(join(home, 'bin', 'python'), ['-m', 'pip', 'install', ...flags, '-r', requirements])
  if (installed.code !== 0) {
    throw new Error(
      `pip could not install Schemathesis. Fix: check the network, and the package index that pip is told to use ("pip config list"). It said:\n${installed.output}`,
    )
  }
  writeFileSync(complete, '')
  return command
}

/** Holds the gateway to its own document. What it leaves behind lies below `.millrace`. */
export async function runSchemathesis(command: string, options: ContractRun): Promise<Ended> {
  const { gatewayUrl, authorization, account, examples, seed } = options
  const folder = join(root, '.millrace', 'contract')
  mkdirSync(folder, { recursive: true })
  const args = [
    ...['--config-file', join(here, 'schemathesis.toml'), 'run', `${gatewayUrl}/openapi.json`, '--url', gatewayUrl],
    ...['--checks', 'all', '--phases', 'examples,coverage,fuzzing'],
    ...['--max-examples', String(examples), '--seed', String(seed), '--no-color'],
  ]
  return await run(command, args, {
    cwd: folder,
    env: {
      ...process.env,
      // By name, since the working directory is not theirs.
      SCHEMATHESIS_HOOKS: 'extensions',
      PYTHONPATH: here,
      PYTHONDONTWRITEBYTECODE: '1',
      MILLRACE_CONTRACT_URL: gatewayUrl,
      MILLRACE_CONTRACT_AUTHORIZATION: authorization,
      MILLRACE_CONTRACT_ACCOUNT: JSON.stringify(account),
    },
  })
}

/** MILLRACE_PYTHON, or the python3 on PATH. */
async function findPython(): Promise<string> {
  const configured = process.env.MILLRACE_PYTHON
  const folders = (process.env.PATH ?? '').split(delimiter)
  const python = configured ?? folders.map((folder) => join(folder, 'python3')).find((path) => existsSync(path))
  const fix = `Fix: install Python 3.${pythonMinorMin} or newer (Debian, Ubuntu: "apt-get install python3 python3-venv"; macOS: "brew install python"), or set MILLRACE_PYTHON to the path of one.`
  if (python === undefined) throw new Error(`The contract test needs Python, and no python3 is on PATH. ${fix}`)
  const asked = await run(python, ['-c', 'import sys; print(sys.version_info[0], sys.version_info[1])'])
  const [major = 0, minor = 0] = asked.output.trim().split(' ').map(Number)
  if (asked.code === 0 && major === 3 && minor >= pythonMinorMin) return python
  throw new Error(`${python} is not Python 3.${pythonMinorMin} or newer; it said: ${asked.output.trim()}. ${fix}`)
}

/** Runs a command to its end. It ends when this process does. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {},
): Promise<Ended> {
  const { input, ...rest } = options
  const child: ChildProcess = spawn(command, args, {
    ...rest,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const stop = () => child.kill('SIGKILL')
  process.once('exit', stop)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  child.stdin?.end(input)
  try {
    const [code]: (number | null)[] = await once(child, 'close')
    return { code: code ?? null, output }
  } catch (error) {
    return { code: null, output: `${output}${error instanceof Error ? error.message : error}` }
  } finally {
    process.removeListener('exit', stop)
  }
}
