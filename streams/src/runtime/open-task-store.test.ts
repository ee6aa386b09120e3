import { expect, it } from 'vitest'
import { memoryStores } from '../state/memory-store.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { openTaskStore, type StoreBudget } from './open-task-store.ts'

const spec: StoreSpec = {
  name: 'counts',
  kind: 'key-value',
  timestamped: false,
  windowSizeMs: undefined,
  retentionMs: undefined,
  changelog: true,
}

it('follows the budget while it is open', async () => {
  const budget: StoreBudget = { storeBytesMax: 1024 * 1024 }
  const store = openTaskStore(spec, await memoryStores('process').open('counts', 0), { changelogOffset: 0, budget })
  for (let index = 0; index < 100; index++) store.put(Buffer.from(`key-${index}`), Buffer.alloc(100), 0)
  expect(store.full).toBe(false)
  budget.storeBytesMax = 10_000
  expect(store.full).toBe(true)
  await store.close()
})
