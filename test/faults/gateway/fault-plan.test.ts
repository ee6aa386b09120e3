import { expect, it } from 'vitest'
import { brokerFaults, gatewayFates, planOutages } from './fault-plan.ts'

it('is the same for the same seed, and another for another', () => {
  expect(planOutages(7, false)).toEqual(planOutages(7, false))
  expect(planOutages(7, false)).not.toEqual(planOutages(8, false))
})

it('has every kind of outage and every fate, and a broker that is away for a minute each way', () => {
  const plan = planOutages(1, false)
  expect(new Set(plan.map(({ broker }) => broker))).toEqual(new Set(brokerFaults))
  expect(new Set(plan.map(({ gateway }) => gateway))).toEqual(new Set(gatewayFates))
  const long = plan.filter(({ awayMs, gateway }) => awayMs >= 60_000 && gateway === 'stays')
  expect(new Set(long.map(({ broker }) => broker))).toEqual(new Set(brokerFaults))
})

it('lets the fate of the gateway come while the broker is away', () => {
  for (let seed = 0; seed < 50; seed++) {
    for (const { fateMs, awayMs } of planOutages(seed, seed % 2 === 0)) expect(fateMs).toBeLessThan(awayMs)
  }
})
