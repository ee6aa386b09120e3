import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { limits } from './limits.ts'

/**
 * The last `count` non-empty lines of a file from byte `from` on, reading no more than its end. Empty when there is no
 * such file. A file that has become shorter than `from` was moved aside and begun anew: then all of it counts.
 */
export function lastLines(file: string, count: number, from = 0): string[] {
  if (!existsSync(file)) return []
  const handle = openSync(file, 'r')
  try {
    const size = fstatSync(handle).size
    const begin = from > size ? 0 : from
    const length = Math.min(size - begin, limits.logTailBytes)
    const bytes = Buffer.alloc(length)
    readSync(handle, bytes, 0, length, size - length)
    const lines = bytes.toString('utf8').split('\n')
    // The first one is cut where the reading began.
    if (length < size - begin) lines.shift()
    return lines.filter((line) => line.trim() !== '').slice(-count)
  } finally {
    closeSync(handle)
  }
}
