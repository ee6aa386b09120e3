import { setImmediate as nextTurn } from 'node:timers/promises'
import { createLogger } from '@millrace/kit'
import { type OutgoingRecord, type Producer, StreamsError } from '@millrace/streams'
import { FakeBroker } from '@millrace/streams/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { FaultyFiles, seeded } from '../../test/faulty-files.ts'
import { SpillLog } from './spill-log.ts'
import { type SpillReplay, startReplay } from './spill-replay.ts'
import { SpillingSender } from './spilling-sender.ts'
import { createTopicEnds } from './topic-ends.ts'

const logger = createLogger({ service: 'test', level: 'silent' })
const away = new StreamsError('BROKER_UNAVAILABLE', 'away')
const partitions = 3

function record(number: number): OutgoingRecord {
  const partition = number % partitions
  return { topic: 'events', partition, timestamp: 1, key: null, value: Buffer.from(`${number}`) }
}

/** A producer that can be cut off: what it has sent may have reached the broker nevertheless. */
class CutProducer {
  isAway = false
  /** Whether what is sent while it is cut off reaches the broker, though no answer comes back. */
  reaches: () => boolean = () => false
  /** When what is sent while it is not cut off reaches the broker. */
  arrival: Promise<void> = Promise.resolve()
  readonly #producer: Producer

  constructor(producer: Producer) {
    this.#producer = producer
  }

  async send(records: readonly OutgoingRecord[]) {
    if (!this.isAway) {
      await this.arrival
      return this.#producer.send(records)
    }
    if (this.reaches()) await this.#producer.send(records)
    throw away
  }
}

async function nextTurns(): Promise<void> {
  await nextTurn()
}

const replays: SpillReplay[] = []
afterEach(async () => {
  await Promise.all(replays.splice(0).map((replay) => replay.close()))
})

function newBroker(): FakeBroker {
  const broker = new FakeBroker()
  broker.createTopic('events', partitions)
  return broker
}

async function openGateway(broker: FakeBroker, files: FaultyFiles) {
  const log = await SpillLog.open({ files, bytesMax: 1e7, logger })
  const producer = new CutProducer(await broker.openProducer({ clientId: 'test' }))
  const ends = createTopicEnds(new Map([['events', partitions]]))
  const counted = { spilled: 0, replayed: 0, landed: 0 }
  const counts = {
    spilled: (records: number) => {
      counted.spilled += records
    },
    replayed: (records: number) => {
      counted.replayed += records
    },
    landed: (records: number) => {
      counted.landed += records
    },
  }
  const sender = new SpillingSender({ producer, log, ends, afterMs: 60_000, logger, counts })
  const replay = () => {
    const started = startReplay({ broker, log, sender, positionTopic: 'events', logger, counts, wait: nextTurns })
    replays.push(started)
    return started
  }
  const empty = () => expect.poll(() => [log.entries, sender.state]).toEqual([0, 'direct'])
  return { log, producer, sender, replay, counted, empty }
}

function numbersIn(broker: FakeBroker): number[][] {
  const read = broker.read('events')
  return Array.from({ length: partitions }, (_, partition) =>
    read.filter((found) => found.partition === partition).map(({ value }) => Number(value)),
  )
}

/** Every number once, and in order within its partition. */
function upTo(count: number): number[][] {
  const all = Array.from({ length: count }, (_, i) => i)
  return Array.from({ length: partitions }, (_, partition) => all.filter((number) => number % partitions === partition))
}

describe('the replay', () => {
  it('brings everything to Kafka, in order, once, and lets requests through again', async () => {
    const broker = newBroker()
    const { sender, producer, replay, counted, empty, log } = await openGateway(broker, new FaultyFiles())
    producer.isAway = true
    for (let i = 0; i < 300; i++) expect(await sender.send([record(i)])).toBe('spooled')
    producer.isAway = false
    replay()
    await empty()
    expect(await sender.send([record(300)])).toBe('kafka')
    expect(numbersIn(broker)).toEqual(upTo(301))
    expect([counted, log.bytes]).toEqual([{ spilled: 300, replayed: 300, landed: 0 }, 0])
  })

  it('does not repeat what had reached Kafka although no answer came', async () => {
    const broker = newBroker()
    const { sender, producer, replay, counted, empty } = await openGateway(broker, new FaultyFiles())
    producer.isAway = true
    producer.reaches = () => true
    // All are under way when the first one fails; in the order of their numbers they reach Kafka.
    const sent = await Promise.all(Array.from({ length: 50 }, (_, i) => sender.send([record(i)])))
    expect(new Set(sent)).toEqual(new Set(['spooled']))
    producer.isAway = false
    expect(await sender.send([record(50)])).toBe('spooled')
    replay()
    await empty()
    expect(numbersIn(broker)).toEqual(upTo(51))
    expect(counted).toEqual({ spilled: 51, replayed: 1, landed: 50 })
  })

  it('waits for what the producer still repeats, and does not repeat that', async () => {
    const broker = newBroker()
    const { sender, producer, replay, counted, empty } = await openGateway(broker, new FaultyFiles())
    const arrives = Promise.withResolvers<void>()
    producer.arrival = arrives.promise
    const slow = sender.send([record(0)])
    producer.isAway = true
    expect([await sender.send([record(1)]), await slow]).toEqual(['spooled', 'spooled'])
    replay()
    for (let turns = 0; turns < 100; turns++) await nextTurn()
    expect(broker.read('events')).toEqual([])
    arrives.resolve()
    await empty()
    expect(numbersIn(broker)).toEqual(upTo(2))
    expect(counted).toMatchObject({ replayed: 1, landed: 1 })
  })

  it('sends the half of a request that had not reached Kafka', async () => {
    const broker = newBroker()
    const { sender, producer, replay, counted, empty } = await openGateway(broker, new FaultyFiles())
    producer.isAway = true
    const sending = sender.send([0, 1, 2, 3, 4, 5].map(record))
    broker.append([record(0), record(3), record(1)])
    await sending
    replay()
    await empty()
    expect(numbersIn(broker)).toEqual(upTo(6))
    expect(counted).toMatchObject({ replayed: 3, landed: 3 })
  })

  it('sends two records that are alike twice, when they were two', async () => {
    const broker = newBroker()
    const { sender, producer, replay, empty } = await openGateway(broker, new FaultyFiles())
    producer.isAway = true
    const sending = sender.send([record(0), record(0)])
    broker.append([record(0)])
    await sending
    replay()
    await empty()
    expect(numbersIn(broker)[0]).toEqual([0, 0])
  })

  it.each(
    (['send', 'sendOffsets', 'commit', 'committed'] as const).flatMap((operation) => [
      [operation, false] as const,
      [operation, true] as const,
    ]),
  )('goes on after %s has failed (done: %s)', async (operation, applied) => {
    const broker = newBroker()
    const { sender, producer, replay, empty } = await openGateway(broker, new FaultyFiles())
    producer.isAway = true
    for (let i = 0; i < 20; i++) await sender.send([record(i)])
    broker.failNext(operation, { error: new StreamsError('OUTCOME_UNKNOWN', 'no answer'), applied })
    const running = replay()
    await empty()
    expect(numbersIn(broker)).toEqual(upTo(20))
    expect(running.failure()).toBeUndefined()
  })

  it('believes Kafka when the gateway died between the commit and its own note of it', async () => {
    const broker = newBroker()
    const files = new FaultyFiles()
    const first = await openGateway(broker, files)
    first.producer.isAway = true
    for (let i = 0; i < 20; i++) await first.sender.send([record(i)])
    const before = files.crash(() => 0)
    first.replay()
    await first.empty()
    const second = await openGateway(broker, before)
    expect(second.log.entries).toBe(20)
    expect(await second.sender.send([record(20)])).toBe('spooled')
    second.replay()
    await second.empty()
    expect(numbersIn(broker)).toEqual(upTo(21))
    expect(second.counted.replayed).toBe(1)
  })

  it('catches up with requests that never pause', async () => {
    const broker = newBroker()
    const { sender, producer, replay } = await openGateway(broker, new FaultyFiles())
    producer.isAway = true
    let sent = 0
    for (; sent < 50; sent++) await sender.send([record(sent)])
    producer.isAway = false
    replay()
    let last = ''
    // Several at any time, each followed by the next at once; Kafka takes several turns for a transaction.
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        while (sent < 20_000 && last !== 'kafka') {
          last = await sender.send([record(sent++)])
          await nextTurn()
        }
      }),
    )
    expect([last, sender.state]).toEqual(['kafka', 'direct'])
    const all = numbersIn(broker).flat()
    expect(all.sort((a, b) => a - b)).toEqual(
      upTo(sent)
        .flat()
        .sort((a, b) => a - b),
    )
  })
})

describe('over outages and restarts at any moment,', () => {
  it.each(Array.from({ length: 25 }, (_, seed) => seed))(
    'every record is there once, in order (seed %i)',
    async (seed) => {
      const random = seeded(seed)
      const broker = newBroker()
      let files = new FaultyFiles()
      let gateway = await openGateway(broker, files)
      let running = gateway.replay()
      let next = 0
      for (let step = 0; step < 12; step++) {
        const choice = random()
        gateway.producer.isAway = random() < 0.5
        // Kafka takes a partition's records in order, and after one that it did not take none that was sent before the answer.
        let hasMissed = false
        gateway.producer.reaches = () => {
          hasMissed ||= random() < 0.3
          return !hasMissed
        }
        const sending = Array.from({ length: 1 + Math.floor(random() * 6) }, () =>
          gateway.sender.send([record(next++)]),
        )
        await Promise.all(sending)
        if (choice < 0.3) {
          const operation = (['send', 'sendOffsets', 'commit'] as const)[Math.floor(random() * 3)] ?? 'send'
          const error = new StreamsError('OUTCOME_UNKNOWN', 'no answer')
          // Only of transactions: the other producer has its own faults.
          if (gateway.sender.state === 'spilling') broker.failNext(operation, { error, applied: random() < 0.5 })
        } else if (choice < 0.6) {
          await running.close()
          files = files.crash(random)
          gateway = await openGateway(broker, files)
          running = gateway.replay()
        } else if (choice < 0.8) await gateway.empty()
      }
      gateway.producer.isAway = false
      await gateway.empty()
      expect(numbersIn(broker)).toEqual(upTo(next))
    },
  )
})
