import { describe, expect, it } from 'vitest'
import { createLogger } from './logger.ts'
import { waitFor } from './wait-for.ts'

const lines: string[] = []
const logger = createLogger({
  service: 'test',
  level: 'info',
  destination: { write: (line: string) => void lines.push(line) },
})

describe('waitFor', () => {
  it('returns what the dependency answered, after saying what it waits for', async () => {
    let calls = 0
    const connect = async () => {
      calls++
      if (calls < 3) throw new Error('connect ECONNREFUSED')
      return 'ready'
    }
    expect(await waitFor('Kafka', connect, { logger, wait: async () => {} })).toBe('ready')
    expect(lines).toHaveLength(2)
    expect(lines[0]).toContain('Kafka does not answer yet')
  })

  it('throws DEPENDENCY_UNAVAILABLE with the cause after the deadline', async () => {
    let nowMs = 0
    const wait = async (ms: number) => {
      nowMs += ms
    }
    const options = { logger, deadlineMs: 5_000, nowMs: () => nowMs, wait }
    const away = async () => Promise.reject(new Error('connect ECONNREFUSED'))
    await expect(waitFor('MySQL', away, options)).rejects.toMatchObject({
      code: 'DEPENDENCY_UNAVAILABLE',
      message: '[DEPENDENCY_UNAVAILABLE] MySQL did not answer within 5000 ms: connect ECONNREFUSED',
    })
  })

  it('does not wait for what waiting cannot cure', async () => {
    const denied = async () => Promise.reject(new Error('access denied'))
    await expect(waitFor('MySQL', denied, { logger, isRetryable: () => false })).rejects.toThrow('access denied')
  })
})
