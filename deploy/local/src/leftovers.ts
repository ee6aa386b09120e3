import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Folders } from './folders.ts'
import { limits } from './limits.ts'

/** A child of an earlier launcher that is still there. */
interface Leftover {
  readonly name: string
  readonly pid: number
}

/**
 * After a launcher was killed its children end by themselves, which takes some seconds. Waits for them, ends those
 * that overstay, and removes their notes. Without it a quick restart would meet its own ports taken.
 */
export async function clearLeftovers(folders: Folders, report: (line: string) => void): Promise<void> {
  if (!existsSync(folders.run)) return
  const leftovers = readdirSync(folders.run)
    .filter((file) => file.endsWith('.pid'))
    .flatMap((file) => leftoversOf(folders, file.slice(0, -'.pid'.length)))
  if (leftovers.length > 0) {
    report(`Waiting for the end of an earlier start: ${[...new Set(leftovers.map(({ name }) => name))].join(', ')}`)
    const deadline = performance.now() + limits.leftoverDeadlineMs
    while (leftovers.some(({ pid }) => isAlive(pid)) && performance.now() < deadline) await delay(limits.readyPollMs)
    for (const { pid } of leftovers) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  }
  rmSync(folders.run, { recursive: true, force: true })
}

/** Whether a process with this id exists, ours or another user's. */
export function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** The command line of a process, empty when there is none. */
export function commandOf(pid: number): string {
  return (spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '').trim()
}

/** The child and its guard, as far as they run and are ours: ids are reused, so the command line has to name our folders. */
function leftoversOf(folders: Folders, name: string): Leftover[] {
  return readFileSync(join(folders.run, `${name}.pid`), 'utf8')
    .trim()
    .split(' ')
    .map((pid) => ({ name, pid: Number(pid) }))
    .filter(({ pid }) => isAlive(pid) && isOurs(commandOf(pid), folders))
}

function isOurs(command: string, folders: Folders): boolean {
  return command.includes(folders.root) || command.includes(folders.instance)
}
