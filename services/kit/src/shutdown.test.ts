import { EventEmitter } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { createLogger } from './logger.ts'
import { installShutdown } from './shutdown.ts'

class FakeProcess extends EventEmitter {
  readonly exited = Promise.withResolvers<number>()
  exit(code: number): void {
    this.exited.resolve(code)
  }
}

const logger = createLogger({ service: 'test', level: 'silent' })

describe('installShutdown', () => {
  it('closes in reverse order on SIGTERM, aborts the signal first, exits with 0', async () => {
    const host = new FakeProcess()
    const shutdown = installShutdown({ logger, process: host })
    const closed: string[] = []
    shutdown.onClose('pool', () => void closed.push(`pool ${shutdown.signal.aborted}`))
    shutdown.onClose('runner', async () => void closed.push(`runner ${shutdown.signal.aborted}`))
    host.emit('SIGTERM', 'SIGTERM')
    expect(await host.exited.promise).toBe(0)
    expect(closed).toEqual(['runner true', 'pool true'])
  })

  it('closes the rest when one part fails, and exits with 1', async () => {
    const host = new FakeProcess()
    const shutdown = installShutdown({ logger, process: host })
    const last = vi.fn()
    shutdown.onClose('last', last)
    shutdown.onClose('failing', () => Promise.reject(new Error('stuck')))
    host.emit('SIGINT', 'SIGINT')
    expect(await host.exited.promise).toBe(1)
    expect(last).toHaveBeenCalledOnce()
  })

  it('exits with 1 after an unhandled rejection, having closed', async () => {
    const host = new FakeProcess()
    const shutdown = installShutdown({ logger, process: host })
    const close = vi.fn()
    shutdown.onClose('pool', close)
    host.emit('unhandledRejection', new Error('forgotten'))
    expect(await host.exited.promise).toBe(1)
    expect(close).toHaveBeenCalledOnce()
  })

  it('exits with 1 when closing takes longer than the deadline', async () => {
    vi.useFakeTimers()
    const host = new FakeProcess()
    const shutdown = installShutdown({ logger, process: host, deadlineMs: 1_000 })
    shutdown.onClose('stuck', () => new Promise(() => {}))
    host.emit('SIGTERM', 'SIGTERM')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await host.exited.promise).toBe(1)
    vi.useRealTimers()
  })

  it('closes once, whoever asks', async () => {
    const host = new FakeProcess()
    const shutdown = installShutdown({ logger, process: host })
    const close = vi.fn()
    shutdown.onClose('pool', close)
    await Promise.all([shutdown.close('done'), shutdown.close('again')])
    expect(close).toHaveBeenCalledOnce()
    expect(host.listenerCount('SIGTERM')).toBe(0)
  })
})
