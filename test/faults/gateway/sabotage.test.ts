import { expect, it } from 'vitest'
import { checkLost, checkOrder } from './checks.ts'
import type { FoundItem } from './found-records.ts'
import { idOf, type SentRequest } from './requests.ts'
import { sabotaged } from './sabotage.ts'

const sent: SentRequest[] = ['a', 'b'].map((client) => ({
  client,
  kind: 'array',
  first: 0,
  count: 2,
  startedMs: 0,
  tookMs: 1,
  outcome: 'spooled',
}))
const events: FoundItem[] = [
  ['a', 0],
  ['b', 0],
  ['a', 1],
  ['b', 1],
].map(([client, number], offset) => ({
  id: idOf(String(client), Number(number)),
  client: String(client),
  number: Number(number),
  partition: 0,
  offset,
}))
const found = { events, leads: [] }

it('shows what there is without a sabotage', () => {
  expect(sabotaged(found, undefined)).toEqual(found)
  expect(checkLost('', sent, events).broken).toEqual([])
  expect(checkOrder('', sent, events).broken).toEqual([])
})

it('makes a check fail with one', () => {
  expect(checkLost('', sent, sabotaged(found, 'drop-record').events).broken).toHaveLength(1)
  expect(checkOrder('', sent, sabotaged(found, 'swap-records').events).broken).toHaveLength(1)
})
