import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Admin,
  type Broker,
  type FetchedBatches,
  type Fetcher,
  type GroupAssignment,
  type GroupListener,
  type GroupMember,
  type GroupMemberOptions,
  partitionKey,
  type TopicPartition,
} from '../../core/broker.ts'
import { StreamsError, type StreamsErrorCode } from '../../core/errors.ts'
import type { OutgoingRecord, RecordHeader } from '../../core/record.ts'
import { RecordCursor } from '../../core/record-cursor.ts'

/** The longest that anything in this suite may take to become visible. */
const patienceMs = 30_000

/** What a broker under test brings. */
export interface BrokerUnderTest {
  readonly broker: Broker
  readonly close: () => Promise<void>
}

/** What every implementation of the broker ports promises. `makeBroker` is called once. */
export function describeBrokerContract(name: string, makeBroker: () => Promise<BrokerUnderTest>): void {
  describe(`${name} keeps the broker's contract`, () => {
    let under: BrokerUnderTest
    let admin: Admin
    const opened: { close(): Promise<void> }[] = []
    let names = 0

    beforeAll(async () => {
      under = await makeBroker()
      admin = await under.broker.openAdmin()
    })

    afterAll(async () => {
      await Promise.all(opened.map((one) => one.close()))
      await admin.close()
      await under.close()
    })

    const unique = (prefix: string): string => `${prefix}-${process.pid}-${Date.now().toString(36)}-${++names}`

    const closing = <T extends { close(): Promise<void> }>(one: T): T => {
      opened.push(one)
      return one
    }

    const makeTopic = async (partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<string> => {
      const topic = unique('contract')
      // The records' times are long ago: a broker that looks for old records meanwhile would delete them.
      await admin.createTopics([
        { name: topic, partitions, replicationFactor: 1, config: { 'retention.ms': '-1', ...config } },
      ])
      return topic
    }

    const openProducer = async () => closing(await under.broker.openProducer({ clientId: 'contract' }))

    const openTransactional = async (transactionalId: string) =>
      closing(await under.broker.openTransactionalProducer({ clientId: 'contract', transactionalId }))

    const openFetcher = async (
      positions: readonly (TopicPartition & { offset: number })[],
      isolation?: 'committed' | 'uncommitted',
    ) => {
      const fetcher = closing(
        await under.broker.openFetcher({ clientId: 'contract', ...(isolation === undefined ? {} : { isolation }) }),
      )
      fetcher.assign(positions)
      return fetcher
    }

    const openMember = async (groupId: string, options: Omit<GroupMemberOptions, 'clientId' | 'groupId'> = {}) =>
      closing(await under.broker.openGroupMember({ clientId: 'contract', groupId, ...options }))

    const readAll = async (topic: string, isolation?: 'committed' | 'uncommitted'): Promise<string[]> => {
      const at = isolation === 'uncommitted' ? 'latest' : 'latestCommitted'
      const end = (await admin.listOffsets([{ topic, partition: 0 }], at)).get(`${topic}-0`) ?? 0
      const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }], isolation)
      const read = await readUntil(fetcher, () => (fetcher.position({ topic, partition: 0 }) ?? 0) >= end)
      await fetcher.close()
      return read.map(({ value }) => value)
    }

    describe('admin', () => {
      it('creates topics once, and says which', async () => {
        const [one, other] = [unique('contract'), unique('contract')]
        const topics = [one, other].map((topic) => ({
          name: topic,
          partitions: 3,
          replicationFactor: 1,
          config: { 'retention.ms': '1234567' },
        }))
        expect(await admin.createTopics(topics.slice(0, 1))).toEqual([one])
        expect(await admin.createTopics(topics)).toEqual([other])
        expect(await admin.createTopics(topics)).toEqual([])
        const described = await admin.describeTopics([one, other, unique('missing')])
        expect([...described.keys()].sort()).toEqual([one, other].sort())
        expect(described.get(one)?.partitions).toBe(3)
        expect(described.get(one)?.config.get('retention.ms')).toBe('1234567')
      })

      it('deletes topics, also those that do not exist', async () => {
        const topic = await makeTopic()
        await admin.deleteTopics([topic, unique('missing')])
        expect((await admin.describeTopics([topic])).size).toBe(0)
        await expectCode(admin.listOffsets([{ topic, partition: 0 }], 'latest'), 'TOPIC_MISSING')
      })

      it('lists the offsets at the start, at the end, and before open transactions', async () => {
        const topic = await makeTopic(2)
        const partitions = [0, 1].map((partition) => ({ topic, partition }))
        const producer = await openProducer()
        await producer.send([record(topic, 'a'), record(topic, 'b')])
        const transactional = await openTransactional(unique('tx'))
        await transactional.send([record(topic, 'open')])
        const list = async (at: 'earliest' | 'latest' | 'latestCommitted') =>
          [...(await admin.listOffsets(partitions, at))].sort()
        expect(await list('earliest')).toEqual([
          [`${topic}-0`, 0],
          [`${topic}-1`, 0],
        ])
        expect(new Map(await list('latest')).get(`${topic}-0`)).toBe(3)
        expect(new Map(await list('latestCommitted')).get(`${topic}-0`)).toBe(2)
        await transactional.abort()
      })
    })

    it('lists the first offset of a time or later, whatever follows it', async () => {
      const topic = await makeTopic(2)
      const partitions = [0, 1].map((partition) => ({ topic, partition }))
      const producer = await openProducer()
      const nowMs = Date.now()
      for (const [index, ageMs] of [5_000, 3_000, 4_000, 1_000].entries()) {
        await producer.send([{ ...record(topic, String(index)), timestamp: nowMs - ageMs }])
      }
      const at = async (ageMs: number) => [...(await admin.listOffsets(partitions, { timeMs: nowMs - ageMs }))]
      expect(await at(9_000)).toEqual([[`${topic}-0`, 0]])
      expect(await at(4_000)).toEqual([[`${topic}-0`, 1]])
      expect(await at(2_999)).toEqual([[`${topic}-0`, 3]])
      expect(await at(0)).toEqual([])
    })

    describe('deleting records', () => {
      it('takes those before an offset, once and for all', async () => {
        const topic = await makeTopic(2)
        const producer = await openProducer()
        await producer.send([record(topic, '0'), record(topic, '1'), record(topic, '2')])
        await admin.deleteRecords([{ topic, partition: 0, offset: 2 }])
        await admin.deleteRecords([
          { topic, partition: 0, offset: 1 },
          { topic, partition: 1, offset: 0 },
        ])
        const partitions = [0, 1].map((partition) => ({ topic, partition }))
        expect([...(await admin.listOffsets(partitions, 'earliest'))].sort()).toEqual([
          [`${topic}-0`, 2],
          [`${topic}-1`, 0],
        ])
        await expectCode(admin.deleteRecords([{ topic, partition: 0, offset: 9 }]), 'OFFSET_OUT_OF_RANGE')
        await admin.deleteRecords([])
      })
    })

    describe('producer', () => {
      it('keeps the order within a partition across calls that are not awaited, and tells offsets', async () => {
        const topic = await makeTopic(2)
        const producer = await openProducer()
        const sends = []
        for (let i = 0; i < 200; i++) sends.push(producer.send([record(topic, `${i}`), record(topic, `other ${i}`, 1)]))
        const produced = (await Promise.all(sends)).map((batches) => batches.find(({ partition }) => partition === 0))
        expect(produced.map((batch) => batch?.baseOffset)).toEqual(Array.from({ length: 200 }, (_, i) => i))
        expect(produced.every((batch) => batch?.topic === topic && batch.count === 1)).toBe(true)
        expect(await readAll(topic)).toEqual(Array.from({ length: 200 }, (_, i) => `${i}`))
      })

      it('keeps keys, values, times and headers as they are', async () => {
        const topic = await makeTopic()
        const producer = await openProducer()
        const headers: RecordHeader[] = [
          { key: 'twice', value: Buffer.from('1') },
          { key: 'twice', value: null },
          { key: 'empty', value: Buffer.alloc(0) },
        ]
        await producer.send([
          {
            topic,
            partition: 0,
            key: Buffer.from('k'),
            value: Buffer.from('v'),
            timestamp: 1_700_000_000_123,
            headers,
          },
          { topic, partition: 0, key: null, value: null, timestamp: 1_600_000_000_000 },
          { topic, partition: 0, key: Buffer.alloc(0), value: Buffer.alloc(0), timestamp: 1_750_000_000_000 },
        ])
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }])
        const read = await readUntil(fetcher, (records) => records.length >= 3)
        expect(read.map(({ key, isNull, value, timestamp }) => ({ key, isNull, value, timestamp }))).toEqual([
          { key: 'k', isNull: false, value: 'v', timestamp: 1_700_000_000_123 },
          { key: null, isNull: true, value: '', timestamp: 1_600_000_000_000 },
          { key: '', isNull: false, value: '', timestamp: 1_750_000_000_000 },
        ])
        expect(read[0]?.headers).toEqual(headers)
        expect(read[1]?.headers).toEqual([])
      })

      it('sends many records of many partitions in one call', async () => {
        const topic = await makeTopic(4)
        const producer = await openProducer()
        const records = Array.from({ length: 20_000 }, (_, i) => record(topic, `${i}`.padStart(200, '.'), i % 4))
        const produced = await producer.send(records)
        expect(produced.reduce((sum, { count }) => sum + count, 0)).toBe(20_000)
        const ends = await admin.listOffsets(
          [0, 1, 2, 3].map((partition) => ({ topic, partition })),
          'latest',
        )
        expect([...ends.values()]).toEqual([5000, 5000, 5000, 5000])
      })

      it('refuses a record that is too large, and what goes to no partition, and goes on', async () => {
        const topic = await makeTopic()
        const producer = await openProducer()
        const large = { ...record(topic, ''), value: Buffer.alloc(2 * 1024 * 1024) }
        await expectCode(producer.send([record(topic, 'with it'), large]), 'RECORD_TOO_LARGE')
        await expectCode(producer.send([record(unique('missing'), 'x')]), 'TOPIC_MISSING')
        await expectCode(producer.send([record(topic, 'x', 1)]), 'TOPIC_MISSING')
        await producer.send([record(topic, 'after')])
        expect(await readAll(topic)).toEqual(['after'])
      })

      it('obeys the largest message of the topic', async () => {
        const topic = await makeTopic(1, { 'max.message.bytes': '2000' })
        const producer = await openProducer()
        await expectCode(producer.send([record(topic, 'x'.repeat(3000))]), 'RECORD_TOO_LARGE')
        await producer.send([record(topic, 'small')])
        await producer.send([record(topic, 'and smaller')])
        expect(await readAll(topic)).toEqual(['small', 'and smaller'])
      })

      it('splits batches for a topic whose largest message is smaller', async () => {
        const topic = await makeTopic(1, { 'max.message.bytes': '5000' })
        const producer = await openProducer()
        const values = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd(100, '.'))
        const produced = await Promise.all([
          producer.send(values.slice(0, 150).map((value) => record(topic, value))),
          producer.send(values.slice(150).map((value) => record(topic, value))),
        ])
        expect(produced.map((batches) => batches.reduce((sum, { count }) => sum + count, 0))).toEqual([150, 50])
        expect(await readAll(topic)).toEqual(values)
      })

      it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('takes %s compression', async (compression) => {
        const topic = await makeTopic()
        const producer = closing(await under.broker.openProducer({ clientId: 'contract', compression }))
        const values = Array.from({ length: 300 }, (_, i) => `value ${i} `.repeat(i % 7))
        await producer.send(values.map((value) => record(topic, value)))
        expect(await readAll(topic)).toEqual(values)
      })

      it('refuses everything after close, which can be repeated', async () => {
        const topic = await makeTopic()
        const producer = await openProducer()
        const last = producer.send([record(topic, 'last')])
        await producer.close()
        await producer.close()
        expect(await last).toHaveLength(1)
        await expectCode(producer.send([record(topic, 'x')]), 'CLOSED')
      })
    })

    describe('transactional producer', () => {
      it('shows a transaction when it is committed, not before', async () => {
        const topic = await makeTopic()
        const producer = await openTransactional(unique('tx'))
        await producer.send([record(topic, 'a'), record(topic, 'b')])
        expect(await readAll(topic, 'uncommitted')).toEqual(['a', 'b'])
        expect(await readAll(topic)).toEqual([])
        await producer.commit()
        await eventually(async () => expect(await readAll(topic)).toEqual(['a', 'b']))
      })

      it('never shows a transaction that was aborted', async () => {
        const topic = await makeTopic()
        const producer = await openTransactional(unique('tx'))
        await producer.send([record(topic, 'gone')])
        await producer.abort()
        await producer.send([record(topic, 'kept')])
        await producer.commit()
        await producer.send([record(topic, 'gone too')])
        await producer.abort()
        const plain = await openProducer()
        await plain.send([record(topic, 'plain')])
        await eventually(async () => expect(await readAll(topic)).toEqual(['kept', 'plain']))
        expect(await readAll(topic, 'uncommitted')).toEqual(['gone', 'kept', 'gone too', 'plain'])
      })

      it('commits many transactions in order, over many partitions', async () => {
        const topic = await makeTopic(3)
        const producer = await openTransactional(unique('tx'))
        for (let i = 0; i < 20; i++) {
          await producer.send([0, 1, 2].map((partition) => record(topic, `${i}`, partition)))
          if (i % 5 === 4) await producer.abort()
          else await producer.commit()
        }
        const expected = Array.from({ length: 20 }, (_, i) => `${i}`).filter((_, i) => i % 5 !== 4)
        await eventually(async () => expect(await readAll(topic)).toEqual(expected))
      })

      it('does nothing when there is no transaction to end', async () => {
        const producer = await openTransactional(unique('tx'))
        await producer.commit()
        await producer.abort()
        expect(await producer.send([])).toEqual([])
        await producer.commit()
      })

      it('is fenced by the next producer of its transactional id, and what it left open is aborted', async () => {
        const topic = await makeTopic()
        const id = unique('tx')
        const zombie = await openTransactional(id)
        await zombie.send([record(topic, 'of the zombie')])
        const successor = await openTransactional(id)
        await expectCode(zombie.commit(), 'FENCED')
        await expectCode(zombie.send([record(topic, 'late')]), 'FENCED')
        await expectCode(zombie.abort(), 'FENCED')
        await successor.send([record(topic, 'of the successor')])
        await successor.commit()
        await eventually(async () => expect(await readAll(topic)).toEqual(['of the successor']))
      })

      it('must abort after a step was refused, and can go on then', async () => {
        const topic = await makeTopic()
        const producer = await openTransactional(unique('tx'))
        await producer.send([record(topic, 'before')])
        await expectCode(
          producer.send([{ ...record(topic, ''), value: Buffer.alloc(2 * 1024 * 1024) }]),
          'RECORD_TOO_LARGE',
        )
        await expectCode(producer.commit(), 'INVALID_STATE')
        await expectCode(producer.send([record(topic, 'x')]), 'INVALID_STATE')
        await producer.abort()
        await producer.send([record(topic, 'after')])
        await producer.commit()
        await eventually(async () => expect(await readAll(topic)).toEqual(['after']))
      })

      it('goes on after the broker has refused a batch', async () => {
        const topic = await makeTopic(1, { 'max.message.bytes': '2000' })
        const producer = await openTransactional(unique('tx'))
        await producer.send([record(topic, 'before')])
        await expectCode(producer.send([record(topic, 'x'.repeat(3000))]), 'RECORD_TOO_LARGE')
        await producer.abort()
        for (const value of ['a', 'b']) {
          await producer.send([record(topic, value)])
          await producer.commit()
        }
        await eventually(async () => expect(await readAll(topic)).toEqual(['a', 'b']))
      })

      it('refuses everything after close', async () => {
        const topic = await makeTopic()
        const producer = await openTransactional(unique('tx'))
        await producer.send([record(topic, 'left open')])
        await producer.close()
        await producer.close()
        await expectCode(producer.commit(), 'CLOSED')
      })
    })

    describe('offsets in transactions', () => {
      const consumed = async (groupId: string) => {
        const topic = await makeTopic()
        const member = await openMember(groupId)
        await member.join([topic], quiet())
        return { topic, member, partition: { topic, partition: 0 } }
      }

      it('are committed with the transaction, with their metadata', async () => {
        const groupId = unique('group')
        const { topic, member, partition } = await consumed(groupId)
        const producer = await openTransactional(unique('tx'))
        expect((await member.committed([partition])).size).toBe(0)
        await producer.send([record(topic, 'x')])
        await producer.sendOffsets(metadataOf(member), [{ ...partition, offset: 7, metadata: 'stream time 123' }])
        await producer.commit()
        expect((await member.committed([partition])).get(partitionKey(partition))).toEqual({
          offset: 7,
          metadata: 'stream time 123',
        })
        await producer.sendOffsets(metadataOf(member), [{ ...partition, offset: 9, metadata: '' }])
        await producer.abort()
        expect((await member.committed([partition])).get(partitionKey(partition))?.offset).toBe(7)
      })

      it('are waited for while the transaction is open', async () => {
        const groupId = unique('group')
        const { member, partition } = await consumed(groupId)
        const producer = await openTransactional(unique('tx'))
        await producer.sendOffsets(metadataOf(member), [{ ...partition, offset: 3, metadata: 'm' }])
        const waiting = member.committed([partition])
        await producer.commit()
        expect((await waiting).get(partitionKey(partition))).toEqual({ offset: 3, metadata: 'm' })
      })

      it('of an older generation or of nobody in the group are refused, and the transaction with them', async () => {
        const groupId = unique('group')
        const { topic, member, partition } = await consumed(groupId)
        const producer = await openTransactional(unique('tx'))
        const current = metadataOf(member)
        for (const stale of [
          { ...current, generationId: current.generationId - 1 },
          { ...current, memberId: 'somebody-else' },
        ]) {
          await producer.send([record(topic, 'of a zombie')])
          await expectCode(producer.sendOffsets(stale, [{ ...partition, offset: 5, metadata: '' }]), 'REBALANCED')
          await expectCode(producer.commit(), 'INVALID_STATE')
          await producer.abort()
        }
        await producer.send([record(topic, 'of a member')])
        await producer.sendOffsets(current, [{ ...partition, offset: 1, metadata: '' }])
        await producer.commit()
        await eventually(async () => expect(await readAll(topic)).toEqual(['of a member']))
        expect((await member.committed([partition])).get(partitionKey(partition))?.offset).toBe(1)
      })
    })

    describe('fetcher', () => {
      it('pages through a log, and passes control batches', async () => {
        const topic = await makeTopic()
        const producer = await openTransactional(unique('tx'))
        const expected: string[] = []
        for (let page = 0; page < 5; page++) {
          const values = Array.from({ length: 40 }, (_, i) => `${page}/${i}`.padEnd(1000, '.'))
          await producer.send(values.map((value) => record(topic, value)))
          await producer.commit()
          expected.push(...values)
        }
        const end = 5 * 41
        const fetcher = closing(await under.broker.openFetcher({ clientId: 'contract', partitionBytesMax: 30_000 }))
        fetcher.assign([{ topic, partition: 0, offset: 0 }])
        let polls = 0
        const read = await readUntil(fetcher, () => ++polls > 1000 || fetcher.position({ topic, partition: 0 }) === end)
        expect(read.map(({ value }) => value)).toEqual(expected)
        expect(polls).toBeGreaterThan(1)
      })

      it('begins in the middle of a batch', async () => {
        const topic = await makeTopic()
        const producer = await openProducer()
        await producer.send(Array.from({ length: 10 }, (_, i) => record(topic, `${i}`)))
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 4 }])
        const read = await readUntil(fetcher, (records) => records.length >= 6)
        expect(read.map(({ offset, value }) => [offset, value])).toEqual([4, 5, 6, 7, 8, 9].map((i) => [i, `${i}`]))
        fetcher.seek({ topic, partition: 0, offset: 8 })
        expect(fetcher.position({ topic, partition: 0 })).toBe(8)
        expect((await readUntil(fetcher, (records) => records.length >= 2)).map(({ offset }) => offset)).toEqual([8, 9])
      })

      it('waits for data, and returns nothing when none comes', async () => {
        const topic = await makeTopic()
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }])
        expect(await fetcher.poll(20)).toEqual([])
        const waiting = readUntil(fetcher, (records) => records.length > 0)
        const producer = await openProducer()
        await producer.send([record(topic, 'at last')])
        expect((await waiting).map(({ value }) => value)).toEqual(['at last'])
      })

      it('tells how far the log goes', async () => {
        const topic = await makeTopic()
        const plain = await openProducer()
        await plain.send([record(topic, 'a'), record(topic, 'b')])
        const producer = await openTransactional(unique('tx'))
        await producer.send([record(topic, 'open')])
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }])
        const [batches] = await pollSome(fetcher)
        expect(batches).toMatchObject({ topic, partition: 0, fetchOffset: 0, highWatermark: 3, lastStableOffset: 2 })
        await producer.abort()
      })

      it('reads what was added, and not what was removed or is paused', async () => {
        const topic = await makeTopic(3)
        const producer = await openProducer()
        await producer.send([0, 1, 2].map((partition) => record(topic, `${partition}`, partition)))
        const fetcher = await openFetcher([0, 1].map((partition) => ({ topic, partition, offset: 0 })))
        fetcher.pause({ topic, partition: 0 })
        fetcher.remove([{ topic, partition: 1 }])
        fetcher.seek({ topic, partition: 2, offset: 0 })
        const read = await readUntil(fetcher, (records) => records.length > 0)
        expect(read.map(({ value }) => value)).toEqual(['2'])
        expect(await fetcher.poll(50)).toEqual([])
        expect(fetcher.position({ topic, partition: 1 })).toBeUndefined()
        expect(fetcher.position({ topic, partition: 0 })).toBe(0)
        fetcher.resume({ topic, partition: 0 })
        expect((await readUntil(fetcher, (records) => records.length > 0)).map(({ value }) => value)).toEqual(['0'])
      })

      it('says when an offset is not there, until it is sent elsewhere', async () => {
        const topic = await makeTopic()
        const producer = await openProducer()
        await producer.send([record(topic, 'only')])
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 50 }])
        for (let again = 0; again < 2; again++) {
          const error = await expectCode(pollSome(fetcher), 'OFFSET_OUT_OF_RANGE')
          expect(error).toMatchObject({ topic, partition: 0, offset: 50 })
        }
        fetcher.seek({ topic, partition: 0, offset: 0 })
        expect((await readUntil(fetcher, (records) => records.length > 0)).map(({ value }) => value)).toEqual(['only'])
      })

      it('says so although other partitions bring records all the time, and loses none of these', async () => {
        const topic = await makeTopic(2)
        const producer = await openProducer()
        const values = Array.from({ length: 40 }, (_, index) => `${index}`)
        for (const value of values) await producer.send([record(topic, value, 1)])
        const fetcher = closing(await under.broker.openFetcher({ clientId: 'contract', fetchBytesMax: 1 }))
        fetcher.assign([
          { topic, partition: 0, offset: 50 },
          { topic, partition: 1, offset: 0 },
        ])
        const read: string[] = []
        const errors: unknown[] = []
        const cursor = new RecordCursor()
        const deadlineMs = Date.now() + patienceMs
        while (read.length < values.length && Date.now() < deadlineMs) {
          try {
            for (const batches of await fetcher.poll(200)) {
              cursor.reset(batches)
              while (cursor.next()) read.push(copyOf(cursor, batches.partition).value ?? '')
            }
          } catch (error) {
            errors.push(error)
            await new Promise((resolve) => setImmediate(resolve)) // an error is there at once: what is to be read is not
          }
        }
        expect(read).toEqual(values)
        expect(errors.length).toBeGreaterThan(1)
        expect(errors[0]).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', topic, partition: 0, offset: 50 })
      })

      it('says when what it should read was deleted', async () => {
        const topic = await makeTopic()
        const producer = await openProducer()
        for (const value of ['0', '1', '2']) await producer.send([record(topic, value)])
        await admin.deleteRecords([{ topic, partition: 0, offset: 2 }])
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }])
        await expectCode(pollSome(fetcher), 'OFFSET_OUT_OF_RANGE')
        expect((await admin.listOffsets([{ topic, partition: 0 }], 'earliest')).get(`${topic}-0`)).toBe(2)
      })

      it('says when a topic is missing', async () => {
        const topic = unique('missing')
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }])
        await expectCode(pollSome(fetcher), 'TOPIC_MISSING')
      })

      it('ends a pending poll when it is closed', async () => {
        const topic = await makeTopic()
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }])
        const pending = fetcher.poll(patienceMs)
        await fetcher.close()
        await fetcher.close()
        expect(await pending).toEqual([])
        await expectCode(fetcher.poll(1), 'CLOSED')
      })

      it('allows one poll at a time', async () => {
        const topic = await makeTopic()
        const fetcher = await openFetcher([{ topic, partition: 0, offset: 0 }])
        const pending = fetcher.poll(50)
        await expectCode(fetcher.poll(50), 'INVALID_STATE')
        await pending
      })
    })

    describe('group', () => {
      it('gives one member everything, and shares when another one comes, and gives all to the one that stays', async () => {
        const topic = await makeTopic(4)
        const groupId = unique('group')
        const [one, other] = [recording(), recording()]
        const first = await openMember(groupId)
        await first.join([topic], one.listener)
        expect(one.assigned()).toEqual([`${topic}-0`, `${topic}-1`, `${topic}-2`, `${topic}-3`])
        const generation = metadataOf(first).generationId
        const second = await openMember(groupId)
        await second.join([topic], other.listener)
        await eventually(async () => {
          expect(one.assigned()).toHaveLength(2)
          expect(other.assigned()).toHaveLength(2)
        })
        expect([...one.assigned(), ...other.assigned()].sort()).toEqual(
          [0, 1, 2, 3].map((partition) => `${topic}-${partition}`),
        )
        expect(one.calls).toEqual(['assigned', 'revoked', 'assigned'])
        expect(metadataOf(first).generationId).toBeGreaterThan(generation)
        expect(metadataOf(second).generationId).toBe(metadataOf(first).generationId)
        await second.close()
        await eventually(async () => expect(one.assigned()).toHaveLength(4))
        expect(other.calls.at(-1)).not.toBe('lost')
      })

      it('gives the same partition numbers of all topics to one member', async () => {
        const [wide, narrow] = [await makeTopic(4), await makeTopic(3)]
        const groupId = unique('group')
        const members = [recording(), recording()]
        for (const { listener } of members) {
          const member = await openMember(groupId, { assignment: 'same-number' })
          await member.join([wide, narrow], listener)
        }
        await eventually(async () => {
          const all = members.flatMap((member) => member.assigned())
          expect(all).toHaveLength(7)
          for (const { assigned } of members) {
            const numbers = (topic: string) =>
              assigned()
                .filter((key) => key.startsWith(`${topic}-`))
                .map((key) => key.slice(topic.length + 1))
            expect(numbers(narrow)).toEqual(numbers(wide).filter((number) => number !== '3'))
          }
        })
      })

      it('awaits the handlers, and takes commits while partitions are being revoked', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        const first = await openMember(groupId)
        let committed = 0
        await first.join([topic], {
          ...quiet(),
          onRevoked: async (partitions) => {
            await first.commit(partitions.map((partition) => ({ ...partition, offset: 5, metadata: 'on revoke' })))
            committed++
          },
        })
        const second = await openMember(groupId)
        await second.join([topic], quiet())
        expect(committed).toBe(1)
        expect((await second.committed([{ topic, partition: 1 }])).get(`${topic}-1`)).toEqual({
          offset: 5,
          metadata: 'on revoke',
        })
      })

      it('keeps committed offsets and their metadata for those who come later', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        const member = await openMember(groupId)
        await expectCode(member.commit([{ topic, partition: 0, offset: 1, metadata: '' }]), 'INVALID_STATE')
        await member.join([topic], quiet())
        await member.commit([{ topic, partition: 0, offset: 11, metadata: 'ünïcode' }])
        await member.close()
        await member.close()
        const later = await openMember(groupId)
        const found = await later.committed([0, 1].map((partition) => ({ topic, partition })))
        expect([...found]).toEqual([[`${topic}-0`, { offset: 11, metadata: 'ünïcode' }]])
      })

      it('lets a static member come back without a rebalance, and fences the one it replaces', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        const [a, b] = [recording(), recording()]
        const first = await openMember(groupId, { groupInstanceId: 'a' })
        await first.join([topic], a.listener)
        const second = await openMember(groupId, { groupInstanceId: 'b' })
        await second.join([topic], b.listener)
        await eventually(async () => expect([a.assigned().length, b.assigned().length]).toEqual([1, 1]))
        const before = { assigned: b.assigned(), calls: a.calls.length, generation: metadataOf(first).generationId }
        const returned = recording()
        const replacement = await openMember(groupId, { groupInstanceId: 'b' })
        await replacement.join([topic], returned.listener)
        expect(returned.assigned()).toEqual(before.assigned)
        expect(metadataOf(replacement).generationId).toBe(before.generation)
        expect(a.calls).toHaveLength(before.calls)
        expect(await second.failed).toMatchObject({ code: 'FENCED' })
        await expectCode(second.commit([{ topic, partition: 0, offset: 1, metadata: '' }]), 'REBALANCED', 'FENCED')
      })

      it('refuses commits of who is not in the generation any more', async () => {
        const topic = await makeTopic()
        const groupId = unique('group')
        const first = await openMember(groupId)
        await first.join([topic], quiet())
        const stale = metadataOf(first)
        const second = await openMember(groupId)
        await second.join([topic], quiet())
        await eventually(async () => expect(metadataOf(first).generationId).toBeGreaterThan(stale.generationId))
        const producer = await openTransactional(unique('tx'))
        await expectCode(producer.sendOffsets(stale, [{ topic, partition: 0, offset: 1, metadata: '' }]), 'REBALANCED')
      })

      it('gives a static member that stays its partitions back, and those of one that leaves to others at once', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        // So long that nobody gets anything because a session has timed out.
        const options = { sessionTimeoutMs: 2 * patienceMs }
        const [a, b] = [recording(), recording()]
        const first = await openMember(groupId, { groupInstanceId: 'a', ...options })
        await first.join([topic], a.listener)
        const second = await openMember(groupId, { groupInstanceId: 'b', ...options })
        await second.join([topic], b.listener)
        await eventually(async () => expect([a.assigned().length, b.assigned().length]).toEqual([1, 1]))
        const { generationId } = metadataOf(second)
        await second.close()
        const back = recording()
        const returned = await openMember(groupId, { groupInstanceId: 'b', ...options })
        await returned.join([topic], back.listener)
        expect(back.assigned()).toEqual(b.assigned())
        expect(metadataOf(returned).generationId).toBe(generationId)
        await returned.close({ leave: true })
        await eventually(async () => expect(a.assigned()).toHaveLength(2))
      })

      it('divides anew when a member asks for it', async () => {
        const topic = await makeTopic()
        const one = recording()
        const member = await openMember(unique('group'))
        await member.join([topic], one.listener)
        const { generationId } = metadataOf(member)
        member.rejoin()
        await eventually(async () => expect(metadataOf(member).generationId).toBeGreaterThan(generationId))
        await eventually(async () => expect(one.assigned()).toEqual([`${topic}-0`]))
      })

      it('says when a topic is missing', async () => {
        const member = await openMember(unique('group'))
        await expectCode(member.join([unique('missing')], quiet()), 'TOPIC_MISSING')
      })
    })

    describe('cooperative group', () => {
      const cooperative = { rebalance: 'cooperative', assignment: 'same-number' } as const

      const copies = (endpoint: string | null, ...warm: { number: number; lag: number }[]) => ({
        report: () => ({ endpoint, warm }),
      })

      it('takes back what moves and nothing else, and gives it to others afterwards', async () => {
        const topic = await makeTopic(4)
        const groupId = unique('group')
        const owners = new Map<string, string>()
        const keepingOwners = (name: string): GroupListener => ({
          onAssigned: async (partitions) => {
            for (const key of partitions.map(partitionKey)) {
              expect(owners.get(key)).toBeUndefined()
              owners.set(key, name)
            }
          },
          onRevoked: async (partitions) => {
            for (const key of partitions.map(partitionKey)) {
              expect(owners.get(key)).toBe(name)
              // Another one must not have it before this has ended.
              await new Promise((resolve) => setImmediate(resolve))
              owners.delete(key)
            }
          },
          onLost: async () => expect.unreachable('nobody was expelled'),
        })
        const one = recording()
        const both: GroupListener = {
          onAssigned: async (partitions, group) => {
            await keepingOwners('one').onAssigned(partitions, group)
            await one.listener.onAssigned(partitions, group)
          },
          onRevoked: async (partitions) => {
            await keepingOwners('one').onRevoked(partitions)
            await one.listener.onRevoked(partitions)
          },
          onLost: (partitions) => one.listener.onLost(partitions),
        }
        const first = await openMember(groupId, cooperative)
        await first.join([topic], both)
        const second = await openMember(groupId, cooperative)
        await second.join([topic], keepingOwners('two'))
        const namesOf = () => [...owners].sort().map(([, name]) => name)
        await eventually(async () => expect(namesOf().toSorted()).toEqual(['one', 'one', 'two', 'two']))
        expect(one.calls.filter((call) => call === 'revoked')).toHaveLength(1)
        const third = await openMember(groupId, cooperative)
        await third.join([topic], keepingOwners('three'))
        await eventually(async () => expect(namesOf()).toContain('three'))
        expect(namesOf()).toHaveLength(4)
        for (const [key, name] of owners) if (name === 'two') owners.delete(key)
        await second.close()
        await eventually(async () => expect(namesOf().toSorted()).toEqual(['one', 'one', 'three', 'three']))
        expect(one.calls).not.toContain('lost')
      })

      it('refuses no commit of who keeps its partitions, however the group changes', async () => {
        const topic = await makeTopic(3)
        const groupId = unique('group')
        const keeper = await openMember(groupId, cooperative)
        const mine = recording()
        await keeper.join([topic], mine.listener)
        const producer = await openTransactional(unique('tx'))
        let isOver = false
        let offset = 0
        const generations = new Set<number>()
        const committing = (async () => {
          while (!isOver) {
            offset++
            await producer.send([record(topic, `${offset}`)])
            await keeper.inGeneration(async (group) => {
              generations.add(group.generationId)
              await producer.sendOffsets(group, [{ topic, partition: 0, offset, metadata: '' }])
            })
            await producer.commit()
            await keeper.commit([{ topic, partition: 1, offset, metadata: '' }])
          }
        })()
        const committedInTheLast = () => expect(generations).toContain(metadataOf(keeper).generationId)
        for (let times = 0; times < 2; times++) {
          const other = await openMember(groupId, cooperative)
          const theirs = recording()
          await other.join([topic], theirs.listener)
          await eventually(async () => expect(theirs.assigned()).toHaveLength(1))
          await eventually(async () => committedInTheLast())
          await other.close()
          await eventually(async () => expect(mine.assigned()).toHaveLength(3))
          await eventually(async () => committedInTheLast())
        }
        isOver = true
        await committing
        const committed = await keeper.committed([0, 1].map((partition) => ({ topic, partition })))
        expect([...committed.values()].map((found) => found.offset)).toEqual([offset, offset])
      })

      it('shows every member the whole group', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        const [one, other] = [recording(), recording()]
        const first = await openMember(groupId, { ...cooperative, groupInstanceId: 'a', ...copies('http://one:1') })
        await first.join([topic], one.listener)
        const second = await openMember(groupId, { ...cooperative, groupInstanceId: 'b', ...copies(null) })
        await second.join([topic], other.listener)
        await eventually(async () => {
          expect(other.assigned()).toHaveLength(1)
          expect(one.group()?.view).toEqual(other.group()?.view)
          expect(one.group()?.view.generationId).toBe(metadataOf(first).generationId)
        })
        const members = one.group()?.view.members ?? []
        expect(
          members
            .map(({ groupInstanceId, endpoint, partitions }) => [
              groupInstanceId,
              endpoint,
              partitions.map(partitionKey).sort(),
            ])
            .sort(),
        ).toEqual([
          ['a', 'http://one:1', one.assigned()],
          ['b', null, other.assigned()],
        ])
        expect(members.map(({ memberId }) => memberId).sort()).toEqual(
          [metadataOf(first).memberId, metadataOf(second).memberId].sort(),
        )
      })

      it('tells the others where a static member is that came back elsewhere', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        const [one, other] = [recording(), recording()]
        const first = await openMember(groupId, { ...cooperative, groupInstanceId: 'a', ...copies('http://one:1') })
        await first.join([topic], one.listener)
        const second = await openMember(groupId, { ...cooperative, groupInstanceId: 'b', ...copies('http://two:1') })
        await second.join([topic], other.listener)
        await eventually(async () => expect([one.assigned().length, other.assigned().length]).toEqual([1, 1]))
        await second.close()
        const returned = await openMember(groupId, { ...cooperative, groupInstanceId: 'b', ...copies('http://two:2') })
        await returned.join([topic], recording().listener)
        await eventually(async () => {
          const endpoints = one.group()?.view.members.map(({ endpoint }) => endpoint)
          expect(endpoints?.toSorted()).toEqual(['http://one:1', 'http://two:2'])
        })
      })

      it('gives away what a static member was to give up when it was killed', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        const { promise: never } = Promise.withResolvers<void>()
        const killed = await openMember(groupId, { ...cooperative, groupInstanceId: 'a' })
        let isGivingUp = false
        await killed.join([topic], {
          ...quiet(),
          onRevoked: () => {
            isGivingUp = true
            return never
          },
        })
        const [back, other] = [recording(), recording()]
        const second = await openMember(groupId, { ...cooperative, groupInstanceId: 'b' })
        const joined = second.join([topic], other.listener)
        await eventually(async () => expect(isGivingUp).toBe(true))
        const returned = await openMember(groupId, { ...cooperative, groupInstanceId: 'a' })
        await returned.join([topic], back.listener)
        await joined
        await eventually(async () => expect([back.assigned().length, other.assigned().length]).toEqual([1, 1]))
        expect(back.assigned()).not.toEqual(other.assigned())
      })

      it('keeps numbers warm, moves them when the copy has caught up, and lets the copy take over', async () => {
        const topic = await makeTopic(2)
        const groupId = unique('group')
        const [one, other] = [recording(), recording()]
        const state = [
          { number: 0, lag: 0 },
          { number: 1, lag: 0 },
        ]
        const first = await openMember(groupId, { ...cooperative, standbys: 1, ...copies(null, ...state) })
        await first.join([topic], one.listener)
        const copied: { number: number; lag: number }[] = []
        const second = await openMember(groupId, {
          ...cooperative,
          standbys: 1,
          report: () => ({ endpoint: null, warm: copied }),
        })
        await second.join([topic], other.listener)
        await eventually(async () => {
          expect(other.group()?.standbys).toEqual([0, 1])
          expect(one.group()?.view).toEqual(other.group()?.view)
        })
        expect([one.assigned().length, other.assigned().length]).toEqual([2, 0])
        expect(one.calls).not.toContain('revoked')
        copied.push(...state)
        second.rejoin()
        await eventually(async () => {
          expect([one.assigned().length, other.assigned().length]).toEqual([1, 1])
          expect([one.group()?.standbys, other.group()?.standbys]).toEqual(
            [other, one].map(({ assigned }) => assigned().map((key) => Number(key.at(-1)))),
          )
        })
        await first.close()
        await eventually(async () => expect(other.assigned()).toHaveLength(2))
      })

      it('refuses members that divide the group by another protocol', async () => {
        const topic = await makeTopic()
        const groupId = unique('group')
        const first = await openMember(groupId, cooperative)
        await first.join([topic], quiet())
        // The shortest session that brokers allow by default: a member waits for those of others that may be gone.
        const second = await openMember(groupId, { sessionTimeoutMs: 6_000 })
        await expectCode(second.join([topic], quiet()), 'INVALID_CONFIG')
        await first.close()
        const third = await openMember(groupId)
        await third.join([topic], quiet())
      })

      it('keeps numbers warm only where partitions go by number', async () => {
        await expectCode(openMember(unique('group'), { rebalance: 'cooperative', standbys: 1 }), 'INVALID_CONFIG')
      })
    })
  })
}

/** A record as this suite compares it. */
interface ReadRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly isNull: boolean
  readonly value: string
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

function record(topic: string, value: string, partition = 0): OutgoingRecord {
  return { topic, partition, key: Buffer.from('key'), value: Buffer.from(value), timestamp: 1_700_000_000_000 }
}

/** Polls until something comes or throws. */
async function pollSome(fetcher: Fetcher): Promise<readonly FetchedBatches[]> {
  const deadlineMs = Date.now() + patienceMs
  while (Date.now() < deadlineMs) {
    const found = await fetcher.poll(200)
    if (found.length > 0) return found
  }
  throw new Error(`nothing came within ${patienceMs} ms`)
}

/** Polls and reads until `isDone`, which is asked with what was read so far after every poll. */
async function readUntil(
  fetcher: Fetcher,
  isDone: (records: readonly ReadRecord[]) => boolean,
): Promise<readonly ReadRecord[]> {
  const records: ReadRecord[] = []
  const cursor = new RecordCursor()
  const deadlineMs = Date.now() + patienceMs
  while (!isDone(records)) {
    if (Date.now() > deadlineMs) throw new Error(`only ${records.length} records within ${patienceMs} ms`)
    for (const batches of await fetcher.poll(200)) {
      cursor.reset(batches)
      while (cursor.next()) records.push(copyOf(cursor, batches.partition))
    }
  }
  return records
}

function copyOf(cursor: RecordCursor, partition: number): ReadRecord {
  const { bytes, offset, timestamp, keyStart, keyEnd, valueStart, valueEnd } = cursor
  return {
    partition,
    offset,
    key: keyStart < 0 ? null : bytes.toString('utf8', keyStart, keyEnd),
    isNull: valueStart < 0,
    value: valueStart < 0 ? '' : bytes.toString('utf8', valueStart, valueEnd),
    timestamp,
    headers: cursor.headers(),
  }
}

/** Repeats an expectation until it holds: a rebalance, or a marker that is being written, takes a moment. */
async function eventually(expectation: () => Promise<void>): Promise<void> {
  const deadlineMs = Date.now() + patienceMs
  for (;;) {
    try {
      return await expectation()
    } catch (error) {
      if (Date.now() > deadlineMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

async function expectCode(promise: Promise<unknown>, ...codes: readonly StreamsErrorCode[]): Promise<StreamsError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof StreamsError) || !codes.includes(error.code))
    expect(error).toMatchObject({ code: codes.join(' or ') })
  return error instanceof StreamsError ? error : new StreamsError('PROCESSING', 'unreachable')
}

function metadataOf(member: GroupMember) {
  const metadata = member.metadata()
  if (metadata === undefined) throw new Error('the member has not joined')
  return metadata
}

function quiet(): GroupListener {
  return { onAssigned: async () => {}, onRevoked: async () => {}, onLost: async () => {} }
}

/** A listener that remembers what it was told. */
function recording() {
  const calls: string[] = []
  const owned = new Set<string>()
  const groups: GroupAssignment[] = []
  const forget = (partitions: readonly TopicPartition[]) => {
    for (const partition of partitions) owned.delete(partitionKey(partition))
  }
  const listener: GroupListener = {
    onAssigned: async (partitions, group) => {
      calls.push('assigned')
      groups.push(group)
      for (const partition of partitions) owned.add(partitionKey(partition))
    },
    onRevoked: async (partitions) => {
      calls.push('revoked')
      forget(partitions)
    },
    onLost: async (partitions) => {
      calls.push('lost')
      forget(partitions)
    },
  }
  return { listener, calls, assigned: () => [...owned].sort(), group: () => groups.at(-1) }
}
