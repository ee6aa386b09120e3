import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createFolders, type Folders, layFolders } from './folders.ts'
import { isAlive } from './leftovers.ts'
import { awaitReady, childPid, guardScript, type ProcessSpec, runCommand, startProcess } from './process.ts'

let folders: Folders
const never = new AbortController().signal
/** A bound for what never comes: a busy machine takes seconds to start a process. */
const deadlineMs = 30_000
const patient = { timeout: deadlineMs }

beforeEach(() => {
  const instance = mkdtempSync(join(tmpdir(), 'millrace-process-'))
  folders = layFolders({ root: instance, cache: instance, instance })
  createFolders(folders)
})
afterEach(() => rmSync(folders.instance, { recursive: true, force: true }))

function shell(script: string): ProcessSpec {
  return {
    name: 'child',
    kind: 'service',
    command: '/bin/sh',
    args: ['-c', script],
    env: { PATH: process.env.PATH ?? '' },
  }
}

// It waits for a background job: dash drops a signal that comes while it starts a foreground one.
const forever = 'trap "echo stopping; kill \\$!; exit 0" TERM; echo started; sleep 60 & wait'

describe('startProcess', () => {
  it('logs the output and reports the exit code', async () => {
    const child = startProcess(shell('echo hello; echo problem >&2; exit 3'), folders)
    expect(await child.exit).toEqual({ code: 3, signal: null })
    expect(readFileSync(child.logFile, 'utf8')).toBe('hello\nproblem\n')
    expect(childPid(folders, 'child')).toBeUndefined()
  })

  it('reports the signal that ended the child', async () => {
    const child = startProcess(shell('kill -KILL $$'), folders)
    expect(await child.exit).toEqual({ code: null, signal: 'SIGKILL' })
  })

  it('stops a child with SIGTERM, so that it can end in order', async () => {
    const child = startProcess(shell(forever), folders)
    await vi.waitFor(() => expect(readFileSync(child.logFile, 'utf8')).toContain('started'), patient)
    await child.stop()
    expect(child.exited()).toEqual({ code: 0, signal: null })
    expect(readFileSync(child.logFile, 'utf8')).toContain('stopping')
    await child.stop()
  })

  it('gives the child no more of the environment than was named', async () => {
    const child = startProcess({ ...shell('env'), env: { ONLY: 'this', PATH: process.env.PATH ?? '' } }, folders)
    await child.exit
    const names = readFileSync(child.logFile, 'utf8')
      .split('\n')
      .map((line) => line.split('=')[0])
    expect(names).toContain('ONLY')
    expect(names).not.toContain('HOME')
  })
})

describe('the guard', () => {
  it('ends the child when the process that started it is killed', async () => {
    const pidFile = join(folders.run, 'child.pid')
    const launcher = join(folders.instance, 'launcher.mjs')
    const args = JSON.stringify([guardScript, pidFile, '0', '5', '/bin/sh', '-c', forever])
    writeFileSync(
      launcher,
      `import { spawn } from 'node:child_process'
       spawn('/bin/sh', ${args}, { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
       setInterval(() => undefined, 1000)`,
    )
    const parent = spawn(process.execPath, [launcher], { stdio: 'ignore' })
    const pid = await vi.waitFor(() => {
      const found = childPid(folders, 'child')
      if (found === undefined) throw new Error('not started yet')
      return found
    }, patient)
    expect(isAlive(pid)).toBe(true)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), patient)
  })
})

describe('awaitReady', () => {
  it('waits until the check says yes, whatever it threw before', async () => {
    const child = startProcess(shell(forever), folders)
    let asked = 0
    const check = async () => {
      asked++
      if (asked === 1) throw new Error('connection refused')
      return asked === 3
    }
    await awaitReady(child, { check, deadlineMs, signal: never })
    expect(asked).toBe(3)
    await child.stop()
  })

  it('names the exit code and the last lines of a child that ended', async () => {
    const child = startProcess(shell('echo "no such folder: /data"; exit 78'), folders)
    const ready = awaitReady(child, { check: async () => false, deadlineMs, signal: never })
    await expect(ready).rejects.toThrow(/ENDED_EARLY.*child ended with code 78.*no such folder: \/data/s)
  })

  it('names the deadline and the last cause', async () => {
    const child = startProcess(shell(forever), folders)
    const check = async () => {
      throw new Error('connection refused')
    }
    await expect(awaitReady(child, { check, deadlineMs: 200, signal: never })).rejects.toThrow(
      /NOT_READY.*connection refused/s,
    )
    await child.stop()
  })

  it('gives up at once when it is told to', async () => {
    const child = startProcess(shell(forever), folders)
    const ready = awaitReady(child, { check: async () => false, deadlineMs: 60_000, signal: AbortSignal.abort() })
    await expect(ready).rejects.toThrow('INTERRUPTED')
    await child.stop()
  })
})

describe('runCommand', () => {
  it('resolves when the command succeeds', async () => {
    await runCommand(shell('exit 0'), folders, { deadlineMs, signal: never, code: 'COMMAND_FAILED' })
  })

  it('throws with the last lines when it fails', async () => {
    const run = runCommand(shell('echo bad column; exit 1'), folders, {
      deadlineMs,
      signal: never,
      code: 'COMMAND_FAILED',
    })
    await expect(run).rejects.toThrow(/COMMAND_FAILED.*ended with code 1.*bad column/s)
  })

  it('ends a command that takes too long', async () => {
    const run = runCommand(shell(forever), folders, { deadlineMs: 200, signal: never, code: 'PREPARE_FAILED' })
    await expect(run).rejects.toThrow(/PREPARE_FAILED.*did not finish/s)
  })
})
