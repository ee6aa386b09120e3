import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { FaultError } from '../fault-error.ts'
import { codeSabotages, poisonSabotages, preloadOf, sabotagedSource } from './sabotage.ts'

it.each(Object.entries({ ...codeSabotages, ...poisonSabotages }))('%s changes the code as it is', (_name, sabotage) => {
  const source = readFileSync(join(import.meta.dirname, '../../..', sabotage.file), 'utf8')
  expect(sabotagedSource(source, sabotage)).toContain(sabotage.by)
})

it('does not go on with a change that changes nothing, or too much', () => {
  expect(() => sabotagedSource('a b', { replace: 'c', by: 'd' })).toThrow(FaultError)
  expect(() => sabotagedSource('a a', { replace: 'a', by: 'd' })).toThrow('2 times')
})

it('changes no code of a run without a sabotage, or with one of another kind', () => {
  expect(preloadOf(undefined, '/nowhere')).toEqual([])
  expect(preloadOf('lose-lead', '/nowhere')).toEqual([])
})
