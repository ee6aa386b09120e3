import { setImmediate as nextTurn } from 'node:timers/promises'
import { createLogger } from '@millrace/kit'
import { type OutgoingRecord, type ProducedBatch, StreamsError } from '@millrace/streams'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FaultyFiles } from '../../test/faulty-files.ts'
import { spillHandoverMsMax, spillRecordBytesMax } from '../limits.ts'
import { SpillLog, spillStart } from './spill-log.ts'
import { SpillingSender } from './spilling-sender.ts'
import { createTopicEnds } from './topic-ends.ts'

const logger = createLogger({ service: 'test', level: 'silent' })
const afterMs = 2_000

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function record(text: string, partition = 0): OutgoingRecord {
  return { topic: 'events', partition, timestamp: 1, key: null, value: Buffer.from(text) }
}

/** A sender over a producer whose answers the test gives. */
async function openSender(bytesMax = 1e6, isAway = false) {
  const log = await SpillLog.open({ files: new FaultyFiles(), bytesMax, logger })
  const sent: { text: string; answer: PromiseWithResolvers<readonly ProducedBatch[]> }[] = []
  const spilled: number[] = []
  const sender = new SpillingSender({
    producer: {
      send(records) {
        const answer = Promise.withResolvers<readonly ProducedBatch[]>()
        sent.push({ text: `${records[0]?.value}`, answer })
        return answer.promise
      },
    },
    log,
    ends: createTopicEnds(new Map([['events', 2]])),
    isAway,
    afterMs,
    logger,
    counts: { spilled: (records) => spilled.push(records) },
  })
  const answer = (at: number, baseOffset = 0) =>
    sent[at]?.answer.resolve([{ topic: 'events', partition: 0, baseOffset, count: 1 }])
  return { log, sender, sent, spilled, answer }
}

/** Lets the time pass after which Kafka is taken for away, and the turn in which answers are still read. */
async function passTime(ms = afterMs): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  await nextTurn()
  await nextTurn()
}

async function logged(log: SpillLog) {
  const { entries } = await log.read(spillStart, 1e6)
  return entries.map(({ records, floors }) => ({ text: `${records[0]?.value}`, floors }))
}

it('tries nothing where Kafka is known to be away, before the replay has got through', async () => {
  const { sender, sent, answer, log } = await openSender(1e6, true)
  await sender.opened()
  expect(await sender.send([record('a')])).toBe('spooled')
  await expect(sender.sendNow([record('b')])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
  expect(sent).toEqual([])
  expect(await logged(log), 'nobody has it yet: nothing to look for').toEqual([{ text: 'a', floors: undefined }])
  expect(await sender.handover(async () => log.release(1))).toBe(true)
  const direct = sender.send([record('c')])
  answer(0)
  expect(await direct).toBe('kafka')
})

describe('while Kafka answers', () => {
  it('records go to Kafka and nowhere else', async () => {
    const { sender, sent, answer, log } = await openSender()
    const all = [sender.send([record('a')]), sender.send([record('b')])]
    answer(0)
    answer(1)
    expect(await Promise.all(all)).toEqual(['kafka', 'kafka'])
    await passTime(10 * afterMs)
    expect([sent.length, log.entries, sender.state]).toEqual([2, 0, 'direct'])
  })

  it('errors of the records themselves are thrown', async () => {
    const { sender, sent, log } = await openSender()
    const sending = sender.send([record('a')])
    sent[0]?.answer.reject(new StreamsError('RECORD_TOO_LARGE', 'too large'))
    await expect(sending).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
    expect([log.entries, sender.state]).toEqual([0, 'direct'])
  })

  it('a slow answer within the bound is waited for, also behind others', async () => {
    const { sender, answer } = await openSender()
    const first = sender.send([record('a')])
    await passTime(afterMs - 100)
    answer(0)
    const second = sender.send([record('b')])
    await passTime(afterMs - 100)
    answer(1)
    expect([await first, await second, sender.state]).toEqual(['kafka', 'kafka', 'direct'])
  })
})

describe('when Kafka stops to answer', () => {
  it('one late send takes all others with it to the log, in their order, with where to look for them', async () => {
    const { sender, sent, answer, log, spilled } = await openSender()
    const before = sender.send([record('before')])
    answer(0, 41)
    await before
    const first = sender.send([record('a')])
    await passTime(afterMs - 1)
    const second = sender.send([record('b')])
    await passTime(1)
    expect([await first, await second, sender.state]).toEqual(['spooled', 'spooled', 'spilling'])
    expect(await sender.send([record('c')])).toBe('spooled')
    expect(sent.map(({ text }) => text)).toEqual(['before', 'a', 'b'])
    expect(await logged(log)).toEqual([
      { text: 'a', floors: [42, 0] },
      { text: 'b', floors: [42, 0] },
      { text: 'c', floors: undefined },
    ])
    expect(spilled).toEqual([1, 1, 1])
  })

  it('a refused connection does the same at once', async () => {
    const { sender, sent, log } = await openSender()
    const both = [sender.send([record('a')]), sender.send([record('b')])]
    sent[0]?.answer.reject(new StreamsError('BROKER_UNAVAILABLE', 'away'))
    expect(await Promise.all(both)).toEqual(['spooled', 'spooled'])
    expect((await logged(log)).map(({ text }) => text)).toEqual(['a', 'b'])
  })

  it('what can be kept nowhere is told apart: never sent, or in doubt', async () => {
    const { sender } = await openSender(50)
    const sending = sender.send([record('a')]).catch((error) => error)
    await passTime()
    expect(await sending).toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    await expect(sender.send([record('b')])).rejects.toMatchObject({ code: 'SPILL_UNAVAILABLE' })
  })

  it('a record that Kafka would refuse later is refused now', async () => {
    const { sender, log } = await openSender()
    const sending = sender.send([record('a')])
    await passTime()
    await sending
    const large = { ...record(''), value: Buffer.alloc(spillRecordBytesMax + 1) }
    await expect(sender.send([record('b'), large])).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
    expect(log.entries).toBe(1)
  })

  it('what is of no use later fails at once, until the replay gets through', async () => {
    const { sender, sent, answer, log } = await openSender()
    const late = sender.sendNow([record('a')]).catch((error) => error)
    await passTime()
    expect(await late).toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    await expect(sender.sendNow([record('b')])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    sender.reached(true)
    const sending = sender.sendNow([record('c')])
    answer(1)
    expect(await sending).toBe('kafka')
    expect([sent.map(({ text }) => text), log.entries]).toEqual([['a', 'c'], 0])
  })

  it('the replay waits for what the producer still repeats', async () => {
    const { sender, answer } = await openSender()
    let isSettled = false
    const sending = sender.send([record('a')])
    await passTime()
    await sending
    void sender.settled().then(() => {
      isSettled = true
    })
    await nextTurn()
    expect(isSettled).toBe(false)
    answer(0)
    await nextTurn()
    expect(isSettled).toBe(true)
  })
})

describe('when the log is nearly replayed', () => {
  async function openSpilling() {
    const opened = await openSender()
    const sending = opened.sender.send([record('a')])
    await passTime()
    await sending
    await opened.sender.opened()
    return opened
  }

  it('requests wait for the rest, and go to Kafka behind it', async () => {
    const { sender, sent, answer } = await openSpilling()
    const drained = Promise.withResolvers<void>()
    const handover = sender.handover(() => drained.promise)
    const waiting = [sender.send([record('b')]), sender.send([record('c')])]
    await nextTurn()
    expect(sent).toHaveLength(1)
    drained.resolve()
    expect(await handover).toBe(true)
    await nextTurn()
    expect(sent.map(({ text }) => text)).toEqual(['a', 'b', 'c'])
    answer(1)
    answer(2)
    expect([await Promise.all(waiting), sender.state]).toEqual([['kafka', 'kafka'], 'direct'])
  })

  it.each([
    ['takes too long', () => new Promise<void>(() => {})],
    ['fails', () => Promise.reject(new Error('away'))],
  ])('requests go to the log again when the rest %s', async (_, drain) => {
    const { sender, log } = await openSpilling()
    const handover = sender.handover(drain).catch(() => 'failed')
    const waiting = sender.send([record('b')])
    await passTime(spillHandoverMsMax)
    expect(await waiting).toBe('spooled')
    expect([log.entries, sender.state]).toEqual([2, 'spilling'])
    void handover
  })
})

it('begins with the log when there is something in it', async () => {
  const files = new FaultyFiles()
  const log = await SpillLog.open({ files, bytesMax: 1e6, logger })
  await log.append({ topic: 'events', records: [record('a')] })
  const producer = { send: () => Promise.reject(new Error('not asked')) }
  const ends = createTopicEnds(new Map())
  const sender = new SpillingSender({ producer, log, ends, afterMs, logger, counts: { spilled: () => {} } })
  expect(await sender.send([record('b')])).toBe('spooled')
  expect((await logged(log)).map(({ text }) => text)).toEqual(['a', 'b'])
})
