import { expect, test } from 'vitest'
import type { FeedState } from '../feed/stats-feed.ts'
import { ConsoleError } from '../gateway/console-error.ts'
import { connectionOf } from './connection.ts'

const live: FeedState = { phase: 'live', retryAtMs: null, error: null, history: 'loaded' }
const error = new ConsoleError('unreachable', 'Gone.')
const waiting: FeedState = { phase: 'waiting', retryAtMs: 5, error, history: 'loaded' }
const refused: FeedState = { ...live, phase: 'refused', error }

test('is as bad as the worst feed', () => {
  expect(connectionOf([live, live], false)).toEqual({ phase: 'live', retryAtMs: null, error: null })
  expect(connectionOf([live, waiting], false)).toEqual({ phase: 'waiting', retryAtMs: 5, error })
  expect(connectionOf([waiting, refused], false).phase).toBe('refused')
})

test('reports missing history of a live feed', () => {
  expect(connectionOf([live, { ...live, error }], false)).toEqual({ phase: 'live', retryAtMs: null, error })
})

test('a pause covers all but a refusal', () => {
  expect(connectionOf([{ ...live, phase: 'stopped' }], true).phase).toBe('paused')
  expect(connectionOf([refused], true).phase).toBe('refused')
})
