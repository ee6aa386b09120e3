import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { LauncherError } from './errors.ts'
import { commandOf, isAlive } from './leftovers.ts'

/** The right to use a data folder. */
export interface Lock {
  readonly release: () => void
}

/**
 * One launcher per data folder. Throws ALREADY_RUNNING while another one holds the lock; takes over the lock of one that
 * was killed.
 */
export function takeLock(file: string): Lock {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = openSync(file, 'wx', 0o600)
      writeSync(handle, `${process.pid}\n`)
      closeSync(handle)
      return { release: () => rmSync(file, { force: true }) }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
    const pid = Number(readFileSync(file, 'utf8'))
    if (isAlive(pid) && commandOf(pid).includes('deploy/local')) {
      throw new LauncherError(
        'ALREADY_RUNNING',
        `Millrace already runs from this folder, as process ${pid}. Stop it with Ctrl-C in its terminal or \`kill ${pid}\`; ` +
          'to run a second one, set MILLRACE_DIR and the MILLRACE_*_PORT variables',
      )
    }
    rmSync(file, { force: true })
  }
  throw new LauncherError('ALREADY_RUNNING', `Another start took ${file} at the same moment: run the command again`)
}
