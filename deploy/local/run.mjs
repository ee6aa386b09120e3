#!/usr/bin/env node
// The door of `npm start`, `npm test`, `npm run test:faults`, `npm run load`, `npm run bench` and `npm run doctor`. Plain JavaScript without
// dependencies, since it runs on a fresh clone and on Node 20: it brings Node 24 and the npm packages, then hands over to a main.ts.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Kept in step with `versions.node` in src/versions.ts by a test. */
const nodeVersion = '24.21.0'
const nodeMajorMin = 20
const nodeMajorWanted = 24
const heartbeatMs = 3_000
const installDeadlineMs = 15 * 60_000
const lastLinesMax = 24

const root = fileURLToPath(new URL('../..', import.meta.url))
const cache = join(root, '.millrace')
const launcher = join(root, 'deploy', 'local', 'src', 'main.ts')
/** What is not the launcher's, and runs with the same Node and packages. */
const programs = {
  bench: join(root, 'bench', 'main.ts'),
  conformance: join(root, 'streams', 'conformance', 'main.ts'),
  faults: join(root, 'test', 'faults', 'main.ts'),
  security: join(root, 'test', 'security', 'main.ts'),
}

class StartError extends Error {}

// Whoever read our output (`npm start | head`) may go away; that is no reason to stop.
process.stdout.on('error', () => undefined)

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`\n${error instanceof StartError ? error.message : error?.stack}\n`)
  process.exitCode = 1
}

async function run(args) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < nodeMajorMin) {
    throw new StartError(
      `Millrace needs Node ${nodeMajorMin} or newer to start (it then brings Node ${nodeMajorWanted} itself); this is ${process.version}.\n` +
        'Fix: install a current Node from https://nodejs.org, or with `nvm install 24`.',
    )
  }
  const npm = findNpm()
  const node = major >= nodeMajorWanted ? process.execPath : await obtainNode(npm)
  // The doctor only looks.
  if (args[0] !== 'doctor') await installPackages(node, npm)
  return await handOver(node, args)
}

/** npm as [command, ...arguments], to be started by any Node: the one that runs us, or the one beside node. */
function findNpm() {
  const beside = dirname(process.execPath)
  const scripts = [
    process.env.npm_execpath,
    join(beside, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(beside, 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    '/usr/share/nodejs/npm/bin/npm-cli.js',
    '/usr/lib/node_modules/npm/bin/npm-cli.js',
  ]
  const script = scripts.find((path) => path?.endsWith('npm-cli.js') && existsSync(path))
  if (script !== undefined) return (node) => [node, script]
  if (spawnSync('npm', ['--version'], { stdio: 'ignore' }).status === 0) return () => ['npm']
  throw new StartError(
    'npm was not found beside node nor on PATH.\nFix: install it with Node (https://nodejs.org) or with `corepack enable npm`.',
  )
}

/** Node 24 as an npm package: it holds the binary, and needs no install script and no rights. */
async function obtainNode(npm) {
  const target = `node-${process.platform}-${process.arch}`
  const home = join(cache, `node-${nodeVersion}`)
  const binary = join(home, 'node_modules', target, 'bin', 'node')
  if (existsSync(binary)) return binary
  if (!['linux', 'darwin'].includes(process.platform) || !['x64', 'arm64'].includes(process.arch)) {
    throw new StartError(
      `There is no Node ${nodeMajorWanted} package for ${process.platform}-${process.arch}.\n` +
        `Fix: install Node ${nodeMajorWanted} from https://nodejs.org and run the command again (on Windows: inside WSL 2).`,
    )
  }
  const partial = `${home}.partial-${process.pid}`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(partial, { recursive: true })
  writeFileSync(join(partial, 'package.json'), '{"private":true}\n')
  try {
    await npmRun(npm(process.execPath), {
      title: `Node ${nodeVersion} (this is ${process.version})`,
      args: [
        'install',
        '--prefix',
        partial,
        '--no-package-lock',
        '--ignore-scripts',
        '--no-workspaces',
        `${target}@${nodeVersion}`,
      ],
      cwd: partial,
      env: process.env,
    })
    const probe = spawnSync(join(partial, 'node_modules', target, 'bin', 'node'), ['--version'], { encoding: 'utf8' })
    if (probe.status !== 0) {
      const cause = (probe.stderr || probe.error?.message || '').trim()
      const fix = cause.includes('libatomic')
        ? '\nFix: `apt-get install libatomic1` (Debian, Ubuntu), `dnf install libatomic` (Fedora).'
        : ''
      throw new StartError(`Node ${nodeVersion} was fetched but does not run here: ${cause}${fix}`)
    }
    rmSync(home, { recursive: true, force: true })
    renameSync(partial, home)
  } finally {
    rmSync(partial, { recursive: true, force: true })
  }
  return binary
}

/** Installs what package-lock.json names, unless exactly that is installed. */
async function installPackages(node, npm) {
  if (isInstalled()) return
  // npm ci begins by deleting node_modules. A stack that runs from this checkout would lose its packages: then add to them.
  const fresh = !existsSync(join(root, 'node_modules'))
  await npmRun(npm(node), {
    title: `npm packages (npm ${fresh ? 'ci' : 'install'})`,
    // No package needs an install script; the few that may run are those which package.json names.
    args: [...(fresh ? ['ci'] : ['install', '--no-save']), ...(scriptsAllowed() ? [] : ['--ignore-scripts'])],
    cwd: root,
    env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}`, npm_config_omit: '', NODE_ENV: '' },
  })
}

/** npm leaves a copy of the lockfile behind when it has finished: whether that one has every package of ours. */
function isInstalled() {
  const copy = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(copy)) return false
  const installed = JSON.parse(readFileSync(copy, 'utf8')).packages ?? {}
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages ?? {}
  return Object.entries(locked).every(([path, entry]) => {
    if (!path.startsWith('node_modules/') || entry.optional || entry.peer) return true
    return installed[path] !== undefined && installed[path].version === entry.version
  })
}

function scriptsAllowed() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.keys(manifest.allowScripts ?? {}).length > 0
}

/** Runs npm, prints a line every few seconds, and fails with its last lines. */
async function npmRun([command, ...first], { title, args, cwd, env }) {
  const started = Date.now()
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`
  process.stdout.write(`Installing ${title} …\n`)
  const flags = ['--no-audit', '--no-fund', '--no-progress', '--loglevel=http', '--foreground-scripts=false']
  const child = spawn(command, [...first, ...args, ...flags], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = []
  let fetched = 0
  let rest = ''
  const read = (chunk) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop().slice(-4_096)
    for (const line of parts) {
      if (/npm http fetch GET 200/.test(line)) fetched++
      else if (!/npm (http|warn)|^npm error\s*$/.test(line)) lines.push(line)
      // npm names the cause first and then explains at length: both ends are worth keeping.
      if (lines.length > lastLinesMax) lines.splice(lastLinesMax / 2, 1)
    }
  }
  child.stdout.setEncoding('utf8').on('data', read)
  child.stderr.setEncoding('utf8').on('data', read)
  const heartbeat = setInterval(
    () => process.stdout.write(`  ${title}: ${fetched} files fetched, ${seconds()}\n`),
    heartbeatMs,
  )
  const deadline = setTimeout(() => child.kill('SIGTERM'), installDeadlineMs)
  const forward = () => child.kill('SIGTERM')
  process.once('SIGINT', forward).once('SIGTERM', forward)
  const code = await new Promise((resolve) => {
    child.once('error', (error) => {
      lines.push(error.message)
      resolve(-1)
    })
    child.once('close', (status, signal) => resolve(status ?? signal))
  })
  clearInterval(heartbeat)
  clearTimeout(deadline)
  process.removeListener('SIGINT', forward).removeListener('SIGTERM', forward)
  if (code === 0) {
    process.stdout.write(`Installed ${title} in ${seconds()}\n`)
    return
  }
  const output = [...lines, rest].filter((line) => line.trim() !== '').join('\n')
  const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|ECONNRESET/.test(output)
  const fix = offline
    ? 'The npm registry cannot be reached. Fix: check the network (and the proxy: `npm config get proxy`, `npm config get registry`), then run the command again.'
    : 'Fix: read the lines above; `npm ci` in the project folder repeats the step.'
  throw new StartError(`Installing ${title} failed (npm ended with ${code}). Its last lines:\n${output}\n\n${fix}`)
}

/**
 * Runs the launcher with `node` and answers its exit code. The launcher leads its own process group, so that Ctrl-C
 * reaches it once and through us; it holds the other end of a pipe of ours, so that it stops also when we are killed.
 */
async function handOver(node, args) {
  // A small young generation: the launcher waits most of its life and should not hold memory for it.
  const program = programs[args[0]]
  // kafkajs sets timeouts that lie in the past; they fire at once, as they should.
  const quiet = '--disable-warning=TimeoutNegativeWarning'
  const command =
    program === undefined ? ['--max-semi-space-size=2', launcher, ...args] : [quiet, program, ...args.slice(1)]
  const child = spawn(node, command, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    env: {
      ...process.env,
      PATH: `${dirname(node)}:${process.env.PATH ?? ''}`,
      // Compiled once: starts faster, and does without the type stripper's memory.
      ...(['up', 'load'].includes(args[0]) && { NODE_COMPILE_CACHE: join(cache, 'compiled') }),
      MILLRACE_LAUNCHER_PIPE_FD: '3',
      MILLRACE_LAUNCHER_PARENTS: parents().join(','),
    },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)))
  })
}

/**
 * The processes between us and npm, when npm started us. They cannot tell us that they were killed, so the launcher
 * looks whether they are still there. Started by hand or by a script, our parent may come and go as it likes.
 */
function parents() {
  if (process.env.npm_lifecycle_event === undefined) return []
  const found = [process.ppid]
  const ps = spawnSync('ps', ['-o', 'ppid=,comm=', '-p', String(process.ppid)], { encoding: 'utf8' })
  const [ppid, command] = (ps.stdout ?? '').trim().split(/\s+/)
  if (/(^|\/)(sh|dash|bash|ash|zsh)$/.test(command ?? '') && Number(ppid) > 1) found.push(Number(ppid))
  return found
}
