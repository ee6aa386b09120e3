import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Component } from './component.ts'
import { concurrently } from './concurrently.ts'
import { createFolders, type Folders, layFolders } from './folders.ts'
import { childPid } from './process.ts'
import { createStack, type Stack } from './stack.ts'

let folders: Folders
let stack: Stack
let lines: string[]
const never = new AbortController().signal

beforeEach(() => {
  const instance = mkdtempSync(join(tmpdir(), 'millrace-stack-'))
  folders = layFolders({ root: instance, cache: instance, instance })
  createFolders(folders)
  lines = []
  stack = createStack({ folders, report: (line) => lines.push(line), signal: never })
})
afterEach(async () => {
  await stack.stop()
  rmSync(folders.instance, { recursive: true, force: true })
})

/** A child that notes its end in a file, in which the order of ends can be read. */
function component(name: string): Component {
  const ends = join(folders.instance, 'ends')
  // It waits for a background job: dash drops a signal that comes while it starts a foreground one.
  const script = `trap 'echo ${name} >>"${ends}"; kill $!; exit 0' TERM; echo up; sleep 60 & wait`
  return {
    name,
    title: name,
    address: 'nowhere',
    readyDeadlineMs: 30_000,
    prepare: async () => undefined,
    isReady: async () => readFileSync(join(folders.logs, `${name}.log`), 'utf8').includes('up'),
    spec: { name, kind: 'service', command: '/bin/sh', args: ['-c', script], env: { PATH: process.env.PATH ?? '' } },
  }
}

it('stops in the reverse order of ranks', async () => {
  await stack.start(component('server'), 0, never)
  await stack.start(component('gateway'), 2, never)
  await stack.start(component('worker'), 1, never)
  await stack.stop()
  expect(readFileSync(join(folders.instance, 'ends'), 'utf8')).toBe('gateway\nworker\nserver\n')
})

it('starts a component again that was killed', async () => {
  await stack.start(component('worker'), 0, never)
  const pid = childPid(folders, 'worker') ?? 0
  process.kill(pid, 'SIGKILL')
  await vi.waitFor(() => expect(lines.at(-1)).toContain('ready again'), { timeout: 50_000 })
  expect(lines.some((line) => line.includes('was ended by SIGKILL; starting it again (1 of 5)'))).toBe(true)
  expect(childPid(folders, 'worker')).not.toBe(pid)
})

it('concurrently stops the others when one fails, and throws the first failure', async () => {
  const ended: string[] = []
  const waiting = (name: string) => async (signal: AbortSignal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    ended.push(name)
    throw new Error(`${name} was interrupted`)
  }
  const failing = async () => {
    throw new Error('no disk space')
  }
  await expect(concurrently(never, [waiting('a'), failing, waiting('b')])).rejects.toThrow('no disk space')
  expect(ended).toEqual(['a', 'b'])
})
