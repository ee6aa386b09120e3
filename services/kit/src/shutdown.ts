import { KitError } from './errors.ts'
import { closeDeadlineMsDefault } from './limits.ts'
import type { Logger } from './logger.ts'

/** The part of `process` that is used, so that a test can stand in for it. */
export interface ProcessPort {
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
  exit(code: number): unknown
}

/** Closes what a service opened, once. */
export interface Shutdown {
  /** Aborts as soon as closing begins: pass it to every wait. */
  readonly signal: AbortSignal
  /** Registers something to be closed. The last one registered is closed first, each awaited before the next. */
  onClose(name: string, close: () => Promise<void> | void): void
  /** Closes everything. Resolves when done, also for later callers; a closer that fails does not stop the others. */
  close(reason: string): Promise<void>
  /** For errors that end the service: logs, closes, exits with 1. */
  fatal(error: unknown): void
}

/**
 * Installs the service's end: SIGTERM and SIGINT close in order and exit with 0; an unhandled rejection, an uncaught
 * exception or `fatal` logs the cause, closes and exits with 1; so does a close that is not done after `deadlineMs`. A second
 * signal exits at once.
 */
export function installShutdown(options: {
  readonly logger: Logger
  readonly deadlineMs?: number
  readonly process?: ProcessPort
}): Shutdown {
  const { logger, deadlineMs = closeDeadlineMsDefault } = options
  const host: ProcessPort = options.process ?? process
  const abort = new AbortController()
  const closers: { readonly name: string; readonly close: () => Promise<void> | void }[] = []
  let closing: Promise<void> | undefined
  let exitCode = 0

  const onSignal = (signal: unknown) => end(String(signal))
  const onFault = (error: unknown) => fatal(error)
  host.on('SIGTERM', onSignal)
  host.on('SIGINT', onSignal)
  host.on('unhandledRejection', onFault)
  host.on('uncaughtException', onFault)

  function fatal(error: unknown): void {
    logger.fatal({ err: error }, 'fatal error: closing')
    exitCode = 1
    if (closing === undefined) end('fatal error')
  }

  function end(reason: string): void {
    if (closing !== undefined) {
      logger.warn({ reason }, 'asked to stop again while closing: exiting now')
      host.exit(1)
      return
    }
    close(reason).then(
      () => host.exit(exitCode),
      (error: unknown) => {
        logger.error({ err: error }, 'not closed cleanly')
        host.exit(1)
      },
    )
  }

  function close(reason: string): Promise<void> {
    closing ??= closeAll(reason)
    return closing
  }

  async function closeAll(reason: string): Promise<void> {
    logger.info({ reason, deadline_ms: deadlineMs }, 'closing')
    abort.abort()
    let timer: NodeJS.Timeout | undefined
    let current = ''
    const expired = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new KitError('CLOSE_TIMED_OUT', `"${current}" was not closed within ${deadlineMs} ms`))
      }, deadlineMs)
    })
    const failures: unknown[] = []
    const inOrder = async () => {
      for (const closer of closers.reverse()) {
        current = closer.name
        try {
          await closer.close()
        } catch (error) {
          failures.push(error)
          logger.error({ err: error, name: closer.name }, 'failed to close')
        }
      }
    }
    try {
      await Promise.race([inOrder(), expired])
    } finally {
      clearTimeout(timer)
      host.off('SIGTERM', onSignal)
      host.off('SIGINT', onSignal)
    }
    if (failures.length > 0) {
      throw new KitError('CLOSE_FAILED', `${failures.length} part(s) failed to close`, { cause: failures[0] })
    }
    logger.info({ reason }, 'closed')
  }

  return {
    signal: abort.signal,
    onClose: (name, closer) => closers.push({ name, close: closer }),
    close,
    fatal,
  }
}
