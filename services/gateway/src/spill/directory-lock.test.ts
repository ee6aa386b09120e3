import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockDirectory } from './directory-lock.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lock-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

describe('a directory', () => {
  it('has one owner, and another one after that', async () => {
    const first = await lockDirectory(directory)
    await expect(lockDirectory(directory)).rejects.toThrow('another gateway uses')
    await first.release()
    await first.release()
    const second = await lockDirectory(directory)
    await second.release()
  })

  it('is free again when its owner was killed', async () => {
    const script = `import { lockDirectory } from ${JSON.stringify(new URL('./directory-lock.ts', import.meta.url).href)}
      await lockDirectory(${JSON.stringify(directory)})
      console.log('locked')
      setInterval(() => {}, 1_000)`
    const owner = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(owner.stdout, 'data')
    await expect(lockDirectory(directory)).rejects.toThrow('another gateway uses')
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    const lock = await lockDirectory(directory)
    await lock.release()
  })

  it('has a path that a socket can have', async () => {
    const long = join(directory, 'x'.repeat(120))
    await expect(lockDirectory(long)).rejects.toThrow('too long')
  })
})
