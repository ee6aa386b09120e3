import { describe, expect, it } from 'vitest'
import { GenerationGate } from './generation-gate.ts'

function gateWith(joinWaitMsMax = 60_000, commitWaitMsMax = 60_000) {
  const gate = new GenerationGate({ joinWaitMsMax, commitWaitMsMax })
  const calls: string[] = []
  const commit = (name: string) => gate.commit(async () => void calls.push(name))
  return { gate, calls, commit }
}

describe('GenerationGate', () => {
  it('refuses commits before there is a generation, and after it was taken away', async () => {
    const { gate, commit, calls } = gateWith()
    await expect(commit('early')).rejects.toMatchObject({ code: 'REBALANCED' })
    gate.open()
    await commit('in time')
    gate.bar()
    await expect(commit('late')).rejects.toMatchObject({ code: 'REBALANCED' })
    await gate.close()
    await expect(commit('while joining anew')).rejects.toMatchObject({ code: 'REBALANCED' })
    expect(calls).toEqual(['in time'])
  })

  it('lets commits wait for a join', async () => {
    const { gate, commit, calls } = gateWith()
    gate.open()
    await gate.close()
    const waiting = commit('waited')
    calls.push('joined')
    gate.open()
    await waiting
    expect(calls).toEqual(['joined', 'waited'])
  })

  it('refuses what waits when the join ends without what we had', async () => {
    const { gate, commit } = gateWith()
    gate.open()
    await gate.close()
    const waiting = commit('waited')
    gate.bar()
    gate.open()
    await expect(waiting).rejects.toMatchObject({ code: 'REBALANCED' })
  })

  it('lets a join wait for the commits under way, and not for those that come later', async () => {
    const { gate, commit, calls } = gateWith()
    gate.open()
    const { promise: answer, resolve } = Promise.withResolvers<void>()
    const underWay = gate.commit(async () => {
      await answer
      calls.push('committed')
    })
    const closed = gate.close().then(() => calls.push('joins'))
    const later = commit('later')
    resolve()
    await Promise.all([underWay, closed])
    gate.open()
    await later
    expect(calls).toEqual(['committed', 'joins', 'later'])
  })

  it('waits for neither side without end', async () => {
    const { gate, commit } = gateWith(1, 1)
    gate.open()
    const { promise: never, resolve } = Promise.withResolvers<void>()
    const hanging = gate.commit(() => never)
    await gate.close()
    await expect(commit('waited')).rejects.toMatchObject({ code: 'REBALANCED' })
    resolve()
    await hanging
  })

  it('passes on what a commit throws, and is idle after it', async () => {
    const { gate } = gateWith()
    gate.open()
    await expect(gate.commit(() => Promise.reject(new Error('refused')))).rejects.toThrow('refused')
    await gate.close()
  })
})
