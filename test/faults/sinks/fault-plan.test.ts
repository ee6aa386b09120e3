import { expect, it } from 'vitest'
import { killMoments, killsOf, planFaults, sinkKinds } from './fault-plan.ts'

it('is the same for the same seed, and another for another', () => {
  expect(planFaults(3, false)).toEqual(planFaults(3, false))
  expect(planFaults(3, false)).not.toEqual(planFaults(4, false))
})

it.each(sinkKinds)('kills the %s sink twenty times, at every moment', (sink) => {
  const plan = planFaults(1, false)
  expect(killsOf(plan, sink)).toBe(20)
  const moments = plan.flatMap(({ fault }) => (fault.kind === 'kill' && fault.sink === sink ? [fault.at] : []))
  expect(new Set(moments)).toEqual(new Set(killMoments))
})

it('has every other fault for both sinks, also when quick', () => {
  const kinds = ['kill', 'database-kill', 'database-slow', 'database-refuses', 'churn']
  for (const isQuick of [true, false]) {
    const found = planFaults(5, isQuick).map(({ fault }) => `${fault.kind} ${fault.sink}`)
    expect(new Set(found)).toEqual(new Set(kinds.flatMap((kind) => sinkKinds.map((sink) => `${kind} ${sink}`))))
  }
})
