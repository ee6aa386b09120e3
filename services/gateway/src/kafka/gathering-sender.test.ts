import type { OutgoingRecord } from '@millrace/streams'
import { describe, expect, it } from 'vitest'
import { gatherRecordsMax, gatherSendsMax } from '../limits.ts'
import { budgetedSender } from './budgeted-sender.ts'
import { createByteBudget } from './byte-budget.ts'
import { gatheringSender } from './gathering-sender.ts'
import type { Durability } from './ports.ts'

function record(name: string): OutgoingRecord {
  return { topic: 't', partition: 0, key: Buffer.from(name), value: Buffer.alloc(10), timestamp: 1 }
}

/** Keeps every send until the test ends it. */
function openSends() {
  const sends: { names: string[]; outcome: PromiseWithResolvers<Durability> }[] = []
  const send = (records: readonly OutgoingRecord[]) => {
    const outcome = Promise.withResolvers<Durability>()
    sends.push({ names: records.map(({ key }) => String(key)), outcome })
    return outcome.promise
  }
  return { sends, sender: { send } }
}

const names = (count: number, of: string) => Array.from({ length: count }, (_, i) => record(`${of}${i}`))

describe('gathering', () => {
  it('lets a call that comes alone wait for nothing', () => {
    const { sends, sender } = openSends()
    void gatheringSender(sender).send([record('a')])
    expect(sends.map((send) => send.names)).toEqual([['a']])
  })

  it('sends together what came while sends were under way, in order, and each call learns the outcome', async () => {
    const { sends, sender } = openSends()
    const gathering = gatheringSender(sender)
    const first = Array.from({ length: gatherSendsMax }, (_, i) => gathering.send([record(`first ${i}`)]))
    const waiting = [gathering.send([record('a'), record('b')]), gathering.send([record('c')])]
    expect(sends).toHaveLength(gatherSendsMax)
    sends[0]?.outcome.resolve('kafka')
    await first[0]
    expect(sends[gatherSendsMax]?.names).toEqual(['a', 'b', 'c'])
    sends[gatherSendsMax]?.outcome.resolve('spooled')
    expect(await Promise.all(waiting)).toEqual(['spooled', 'spooled'])
  })

  it('goes on after a send that failed, and only its own calls fail', async () => {
    const { sends, sender } = openSends()
    const gathering = gatheringSender(sender)
    const first = Array.from({ length: gatherSendsMax }, () => gathering.send([record('first')]))
    const waiting = gathering.send([record('a')])
    sends[0]?.outcome.reject(new Error('away'))
    await expect(first[0]).rejects.toThrow('away')
    sends[gatherSendsMax]?.outcome.resolve('kafka')
    expect(await waiting).toBe('kafka')
    sends[1]?.outcome.resolve('kafka')
    expect(await first[1]).toBe('kafka')
  })

  it('does not hold large calls back, nor lets them overtake', () => {
    const { sends, sender } = openSends()
    const gathering = gatheringSender(sender)
    for (let i = 0; i < gatherSendsMax; i++) void gathering.send([record('first')])
    void gathering.send([record('small')])
    void gathering.send(names(gatherRecordsMax, 'large'))
    expect(sends.slice(gatherSendsMax).map((send) => send.names[0])).toEqual(['small', 'large0'])
    void gathering.send(names(gatherRecordsMax - 1, 'a'))
    void gathering.send([record('last')])
    expect(sends.at(-1)?.names.at(-1)).toBe('last')
  })
})

describe('a budget', () => {
  it('is given back, however the send ends, and bounds what waits', async () => {
    const { sends, sender } = openSends()
    const budget = createByteBudget(200)
    const budgeted = budgetedSender(sender, budget)
    const sent = budgeted.send([record('a')])
    expect(budget.taken).toBe(111)
    await expect(budgeted.send([record('b')])).rejects.toThrow('[OVERLOADED]')
    expect(sends).toHaveLength(1)
    sends[0]?.outcome.reject(new Error('away'))
    await expect(sent).rejects.toThrow('away')
    expect(budget.taken).toBe(0)
  })
})
