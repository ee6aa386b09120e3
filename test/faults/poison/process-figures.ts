import { readFileSync } from 'node:fs'

/** Linux counts CPU in these, on every machine that Node runs on. */
const ticksPerSecond = 100

/** What a process took so far, as the system counts it; zeros when it is gone. */
export function processFigures(pid: number): { readonly cpuMs: number; readonly residentBytes: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    // The second field, the command, is in parentheses and may hold spaces; user and system time are the 12th and 13th behind it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
    const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
    return { cpuMs: (ticks * 1_000) / ticksPerSecond, residentBytes: kilobytes * 1_024 }
  } catch {
    return { cpuMs: 0, residentBytes: 0 }
  }
}
