import { describe, expect, it } from 'vitest'
import { killsOf, planFaults } from './fault-plan.ts'

const faultsOf = (seed: number, quick = false) => planFaults(seed, quick).map(({ fault }) => fault)

describe('planFaults', () => {
  it('gives the same plan for the same seed, and another order for another', () => {
    expect(planFaults(1, false)).toEqual(planFaults(1, false))
    expect(faultsOf(1)).not.toEqual(faultsOf(2))
  })

  it('kills twenty times, at every step of a commit and of the recovery', () => {
    const faults = faultsOf(1)
    expect(killsOf(faults)).toBe(20)
    const steps = new Set(faults.map((fault) => (fault.kind === 'kill' ? fault.at : fault.kind)))
    const commit = ['prepared', 'sent', 'offsets-added', 'committed', 'stored'].map((step) => `commit:${step}`)
    const others = ['anywhere', 'kill-in-recovery', 'zombie', 'broker-kill', 'close']
    expect([...steps].sort()).toEqual([...commit, ...others].sort())
  })

  it('brings instances back with their state, without it, and with older state', () => {
    const comebacks = faultsOf(1).map((fault) => ('comeback' in fault ? fault.comeback : 'none'))
    expect(new Set(comebacks)).toEqual(new Set(['same', 'wiped', 'elsewhere', 'none']))
  })

  it('has kills, a zombie and a dead broker in a quick run, too', () => {
    const faults = faultsOf(1, true)
    expect(killsOf(faults)).toBe(5)
    expect(faults.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['zombie', 'broker-kill', 'kill-in-recovery']),
    )
  })

  it('lets everything run before a zombie: it is to be one because it stood still', () => {
    for (let seed = 0; seed < 20; seed++) {
      const zombies = planFaults(seed, false).filter(({ fault }) => fault.kind === 'zombie')
      expect(zombies.map(({ calm }) => calm)).toEqual([true, true])
    }
  })
})
