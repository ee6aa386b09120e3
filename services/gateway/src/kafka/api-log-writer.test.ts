import { createLogger } from '@millrace/kit'
import type { ApiLog } from '@millrace/schemas'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { apiLogFlushMs } from '../limits.ts'
import { createApiLogWriter } from './api-log-writer.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const entry: ApiLog = {
  request_id: 'r',
  method: 'GET',
  route: '/',
  principal: null,
  role: null,
  received_at: 1,
  request_bytes: 0,
  content_type: null,
  responded_at: 2,
  status: 200,
  response_bytes: 0,
  duration_ms: 1,
  error_code: null,
  accepted: null,
  rejected: null,
}

it('goes on after a write that took longer than a batch is collected', async () => {
  const slow = Promise.withResolvers<void>()
  const written: number[] = []
  const log = createApiLogWriter({
    writer: {
      async write(values) {
        if (written.push(values.length) === 1) await slow.promise
        return 'kafka'
      },
    },
    counts: { written: () => {}, dropped: () => {} },
    logger: createLogger({ service: 'test', level: 'silent' }),
  })
  log.add(entry)
  await vi.advanceTimersByTimeAsync(apiLogFlushMs)
  // Written behind the slow one, so that its timer finds nothing left to do.
  log.add(entry)
  slow.resolve()
  await vi.advanceTimersByTimeAsync(apiLogFlushMs)
  expect(written).toEqual([1, 1])
  log.add(entry)
  await vi.advanceTimersByTimeAsync(apiLogFlushMs)
  expect(written).toEqual([1, 1, 1])
  await log.close()
})
