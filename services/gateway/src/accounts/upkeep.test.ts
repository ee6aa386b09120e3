import { createLogger } from '@millrace/kit'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { MemoryAccounts } from '../../test/memory-accounts.ts'
import { accountUpkeepMs } from '../limits.ts'
import { startAccountUpkeep } from './upkeep.ts'

const logger = createLogger({ service: 'gateway-test', level: 'fatal' })
let uses: Map<string, number>
let deleted: string[]
let failure: Error | undefined

beforeEach(() => {
  vi.useFakeTimers()
  uses = new Map()
  deleted = []
  failure = undefined
})
afterEach(() => {
  vi.useRealTimers()
})

function start() {
  const memory = new MemoryAccounts(Date.now)
  const deletes = (what: string) => async () => {
    if (failure !== undefined) throw failure
    return deleted.push(what)
  }
  const stores = {
    sessions: { ...memory.sessions, deleteExpired: deletes('sessions') },
    attempts: { ...memory.attempts, deleteExpired: deletes('attempts') },
    apiKeys: memory.apiKeys,
  }
  const takeKeyUses = () => {
    const taken = uses
    uses = new Map()
    return taken
  }
  const warn = vi.spyOn(logger, 'warn').mockReset()
  return { memory, warn, upkeep: startAccountUpkeep({ stores, credentials: { takeKeyUses }, logger }) }
}

it('notes uses of keys and deletes what has expired, every minute until it is closed', async () => {
  const { memory, upkeep } = start()
  uses.set('key-1', 7)
  await vi.advanceTimersByTimeAsync(accountUpkeepMs)
  expect([...memory.keyUses]).toEqual([['key-1', 7]])
  expect(deleted).toEqual(['sessions', 'attempts'])
  uses.set('key-1', 9)
  await upkeep.close()
  expect([...memory.keyUses]).toEqual([['key-1', 9]])
  await vi.advanceTimersByTimeAsync(accountUpkeepMs * 3)
  expect(deleted).toHaveLength(2)
})

it('goes on after a failure', async () => {
  const { upkeep, warn } = start()
  failure = new Error('away')
  await upkeep.run()
  await upkeep.run()
  expect(warn).toHaveBeenCalledTimes(1)
  failure = undefined
  await upkeep.run()
  expect(deleted).toEqual(['sessions', 'attempts'])
  await upkeep.close()
})
