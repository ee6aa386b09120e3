import { beforeEach, describe, expect, it } from 'vitest'
import { accessEntriesMax, accessIdleMs, accessReadIdsMax, accessStaleMsMax, accessWaitingMax } from '../limits.ts'
import { LiveCache } from './live-cache.ts'

interface Light {
  readonly id: string
  readonly colour: string
}

let nowMs = 0
let stored: Map<string, Light>
let reads: string[][]
let failure: Error | undefined
/** Resolves the read that is under way; undefined when reads answer at once. */
let answer: PromiseWithResolvers<void> | undefined
let cache: LiveCache<Light>

beforeEach(() => {
  nowMs = 1_000
  stored = new Map([['a', { id: 'a', colour: 'green' }]])
  reads = []
  failure = undefined
  answer = undefined
  cache = new LiveCache({
    nowMs: () => nowMs,
    read: async (ids) => {
      reads.push([...ids])
      const found = ids.flatMap((id) => stored.get(id) ?? [])
      await answer?.promise
      if (failure !== undefined) throw failure
      return found
    },
  })
})

describe('the cache', () => {
  it('asks once, and then no more until it is refreshed', async () => {
    expect(cache.peek('a')).toBeUndefined()
    expect(await cache.load('a')).toEqual({ id: 'a', colour: 'green' })
    for (let i = 0; i < 10; i++) expect(cache.peek('a')?.colour).toBe('green')
    expect(reads).toEqual([['a']])
    stored.set('a', { id: 'a', colour: 'red' })
    await cache.refresh()
    expect(cache.peek('a')?.colour).toBe('red')
  })

  it('gives the same object as long as nothing is read anew', async () => {
    await cache.load('a')
    expect(cache.peek('a')).toBe(cache.peek('a'))
  })

  it('lets go of what is gone, and remembers nothing that there is not', async () => {
    await cache.load('a')
    stored.clear()
    await cache.refresh()
    expect(cache.peek('a')).toBeUndefined()
    expect(await cache.load('a')).toBeUndefined()
    expect(await cache.load('a')).toBeUndefined()
    expect(reads).toHaveLength(4)
    expect(cache.size).toBe(0)
  })

  it('lets go of what nobody asks for', async () => {
    stored.set('b', { id: 'b', colour: 'blue' })
    await Promise.all([cache.load('a'), cache.load('b')])
    nowMs += accessIdleMs
    cache.peek('a')
    nowMs += 1
    await cache.refresh()
    expect(reads.at(-1)).toEqual(['a'])
    expect(cache.peek('b')).toBeUndefined()
  })

  it('has one query under way, however many wait, and asks for each of them once', async () => {
    answer = Promise.withResolvers()
    const first = cache.load('x0')
    const rest = Array.from({ length: accessReadIdsMax + 5 }, (_, i) => cache.load(`x${i % (accessReadIdsMax + 1)}`))
    expect(reads).toEqual([['x0']])
    answer.resolve()
    answer = undefined
    expect(await Promise.all([first, ...rest])).toContain(undefined)
    expect(reads.map((ids) => ids.length)).toEqual([1, accessReadIdsMax, 1])
  })

  it('sends away whom it would keep waiting for too long', async () => {
    answer = Promise.withResolvers()
    const waiting = Array.from({ length: accessWaitingMax + 1 }, (_, i) => cache.load(`x${i}`))
    expect(() => cache.load('y')).toThrow('[OVERLOADED]')
    answer.resolve()
    answer = undefined
    await Promise.all(waiting)
    expect(await cache.load('a')).toMatchObject({ colour: 'green' })
  })

  it('keeps what it has while the store is away, up to a bound', async () => {
    await cache.load('a')
    failure = new Error('away')
    await expect(cache.load('b')).rejects.toThrow('away')
    await expect(cache.refresh()).rejects.toThrow('away')
    nowMs += accessStaleMsMax
    expect(cache.peek('a')?.colour).toBe('green')
    nowMs += 1
    expect(cache.peek('a')).toBeUndefined()
    await expect(cache.load('a')).rejects.toThrow('away')
    failure = undefined
    expect(await cache.load('a')).toMatchObject({ colour: 'green' })
    expect(cache.peek('a')).toMatchObject({ colour: 'green' })
  })

  it('believes what it was told more than a read that began before', async () => {
    await cache.load('a')
    answer = Promise.withResolvers()
    const refreshed = cache.refresh()
    cache.set({ id: 'a', colour: 'red' })
    answer.resolve()
    await refreshed
    expect(cache.peek('a')?.colour).toBe('red')
  })

  it('believes it more than a first read that began before, too', async () => {
    answer = Promise.withResolvers()
    const loaded = cache.load('a')
    cache.set({ id: 'a', colour: 'red' })
    answer.resolve()
    expect(await loaded).toMatchObject({ colour: 'red' })
    expect(cache.peek('a')?.colour).toBe('red')
  })

  it('is bounded', async () => {
    for (let i = 0; i <= accessEntriesMax; i++) cache.set({ id: `x${i}`, colour: 'grey' })
    expect(cache.size).toBe(accessEntriesMax)
    expect(cache.peek('x0')).toBeUndefined()
    expect(cache.peek(`x${accessEntriesMax}`)).toBeDefined()
  })
})
