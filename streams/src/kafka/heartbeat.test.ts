import { afterEach, expect, it } from 'vitest'
import { StreamsError } from '../core/errors.ts'
import { Heartbeat } from './heartbeat.ts'
import { errorCode } from './protocol-error.ts'

const member = { groupId: 'g', generationId: 3, memberId: 'a', groupInstanceId: null }
const hearts: Heartbeat[] = []
afterEach(() => {
  for (const heart of hearts.splice(0)) heart.stop()
})

function heartWith(options: { wantsRebalance?: () => Promise<boolean>; answers?: readonly number[] } = {}) {
  const beats = { count: 0, reached: Promise.withResolvers<void>(), wanted: 5 }
  const coordinator = {
    async heartbeat() {
      if (++beats.count === beats.wanted) beats.reached.resolve()
      return options.answers?.[beats.count - 1] ?? errorCode.none
    },
  }
  const heart = new Heartbeat({
    coordinator,
    member,
    intervalMs: 1,
    signal: new AbortController().signal,
    random: () => 0,
    wantsRebalance: options.wantsRebalance ?? (async () => false),
  })
  hearts.push(heart)
  return { heart, beats }
}

it('goes on while it is not known whether the group should rebalance, and asks once at a time', async () => {
  let asked = 0
  const answer = Promise.withResolvers<boolean>()
  const wantsRebalance = () => {
    asked++
    return answer.promise
  }
  const { heart, beats } = heartWith({ wantsRebalance })
  await beats.reached.promise
  expect(asked).toBe(1)
  answer.resolve(true)
  expect(await heart.ending).toEqual({ kind: 'rebalance' })
  expect(heart.loss).toBeUndefined()
})

it('beats on when brokers are away, and ends with what no later answer mends', async () => {
  const errors = [new StreamsError('BROKER_UNAVAILABLE', 'away'), new StreamsError('BROKER_REFUSED', 'not allowed')]
  const { heart } = heartWith({ wantsRebalance: () => Promise.reject(errors.shift()) })
  expect(await heart.ending).toMatchObject({ kind: 'fatal', error: { code: 'BROKER_REFUSED' } })
})

it('tells of the loss that follows an announced rebalance', async () => {
  const { heart } = heartWith({ answers: [errorCode.rebalanceInProgress, errorCode.none, errorCode.unknownMemberId] })
  expect(await heart.ending).toEqual({ kind: 'rebalance' })
  await expect.poll(() => heart.loss).toEqual({ kind: 'lost', isMember: false })
})
