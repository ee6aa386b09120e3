import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { limits } from './limits.ts'

/** The last `count` non-empty lines of a file, reading no more than its end. Empty when there is no such file. */
export function lastLines(file: string, count: number): string[] {
  if (!existsSync(file)) return []
  const handle = openSync(file, 'r')
  try {
    const size = fstatSync(handle).size
    const length = Math.min(size, limits.logTailBytes)
    const bytes = Buffer.alloc(length)
    readSync(handle, bytes, 0, length, size - length)
    const lines = bytes.toString('utf8').split('\n')
    // The first one is cut where the reading began.
    if (length < size) lines.shift()
    return lines.filter((line) => line.trim() !== '').slice(-count)
  } finally {
    closeSync(handle)
  }
}
