import { beforeEach, describe, expect, test } from 'vitest'
import { createSessionStore } from './session-store.ts'

describe('createSessionStore', () => {
  const items = new Map<string, string>()
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  }
  const session = { username: 'analyst', token: 't', expiresAtMs: 500, refreshToken: 'r', endsAtMs: 1_000 }
  beforeEach(() => items.clear())

  test('gives back what was written until it is over', () => {
    let nowMs = 0
    const store = createSessionStore(storage, () => nowMs)
    expect(store.read()).toBeNull()
    store.write(session)
    expect(store.read()).toEqual(session)
    nowMs = 999
    expect(store.read()).toEqual(session)
    nowMs = 1_000
    expect(store.read()).toBeNull()
  })

  test('forgets on demand', () => {
    const store = createSessionStore(storage, () => 0)
    store.write(session)
    store.clear()
    expect(store.read()).toBeNull()
  })

  test.each(['{', '[]', '{"username":"a"}'])('takes %s for no session', (text) => {
    const store = createSessionStore(storage, () => 0)
    store.write(session)
    for (const key of items.keys()) items.set(key, text)
    expect(store.read()).toBeNull()
  })
})
