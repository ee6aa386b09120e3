import { describe, expect, it } from 'vitest'
import { countFaults, killMoments, planFaults, sinkKinds } from './fault-plan.ts'

it('is the same for the same seed, and another for another', () => {
  expect(planFaults(3, false)).toEqual(planFaults(3, false))
  expect(planFaults(3, false)).not.toEqual(planFaults(4, false))
})

describe.each(sinkKinds)('the %s sink', (sink) => {
  it('is killed twenty times, at every moment', () => {
    const plan = planFaults(1, false)
    expect(countFaults(plan, { sink })).toBe(20)
    for (const at of killMoments) expect(countFaults(plan, { sink, at })).toBeGreaterThanOrEqual(4)
  })

  it('meets every other fault, also when quick', () => {
    const wanted = ['database-kill during-write', 'database-kill before-answer', 'answer-lost', 'database-slow']
    for (const isQuick of [true, false]) {
      const found = planFaults(5, isQuick).flatMap(({ fault }) => {
        if (fault.kind === 'storm' || fault.sink !== sink) return []
        return fault.kind === 'database-kill' ? [`${fault.kind} ${fault.at}`] : [fault.kind]
      })
      expect(found).toEqual(expect.arrayContaining([...wanted, 'database-refuses', 'kill']))
    }
  })
})

it('has a storm of rebalances', () => {
  const storms = (isQuick: boolean) => planFaults(2, isQuick).filter(({ fault }) => fault.kind === 'storm').length
  expect([storms(true), storms(false)]).toEqual([1, 2])
})
