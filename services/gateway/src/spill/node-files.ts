import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { SpillFile, SpillFiles } from './files.ts'

/** Makes the files of a directory on this machine's disk, and the directory if there is none. Only this user may read them: they hold what clients sent. */
export async function openNodeFiles(directory: string): Promise<SpillFiles> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = (name: string) => join(directory, name)
  return {
    list: () => readdir(directory),
    create: async (name) => nodeFile(await open(path(name), 'wx+', 0o600)),
    open: async (name) => nodeFile(await open(path(name), 'r+')),
    rename: (from, to) => rename(path(from), path(to)),
    remove: (name) => rm(path(name), { force: true }),
    async sync() {
      const handle = await open(directory, 'r')
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
  }
}

function nodeFile(handle: FileHandle): SpillFile {
  return {
    async write(buffers, position) {
      let left: readonly Buffer[] = buffers
      for (let at = position; left.length > 0; ) {
        const { bytesWritten } = await handle.writev(left, at)
        at += bytesWritten
        left = behind(left, bytesWritten)
      }
    },
    async read(position, length) {
      const bytes = Buffer.allocUnsafeSlow(length)
      let filled = 0
      while (filled < length) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return bytes.subarray(0, filled)
    },
    truncate: (size) => handle.truncate(size),
    sync: () => handle.datasync(),
    size: async () => (await handle.stat()).size,
    close: () => handle.close(),
  }
}

/** What is left of `buffers` after their first `count` bytes: the system may take less than it was given. */
function behind(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let left = count
  const rest: Buffer[] = []
  for (const buffer of buffers) {
    if (left >= buffer.length) left -= buffer.length
    else {
      rest.push(buffer.subarray(left))
      left = 0
    }
  }
  return rest
}
