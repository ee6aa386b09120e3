import { replayOfHeader } from '@millrace/operations'
import { deadLetterHeaders, type RecordHeader, StreamsError } from '@millrace/streams'
import { FakeBroker } from '@millrace/streams/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { runDlq } from './dlq.ts'

let broker: FakeBroker
let printed: string[]
let told: string[]

beforeEach(() => {
  broker = new FakeBroker()
  broker.createTopic('events', 3)
  broker.createTopic('events.dlq', 1)
  printed = []
  told = []
})

const dlq = (...args: string[]) =>
  runDlq(args, {
    broker,
    topics: ['events', 'leads'],
    print: (line) => void printed.push(line),
    tell: (line) => void told.push(line),
  })

const header = (key: string, text: string): RecordHeader => ({ key, value: Buffer.from(text) })

/** A letter of the record at `originalOffset` of partition 2. */
function appendLetter(originalOffset: number, { reason = 'UNDECODABLE', omitted = false } = {}) {
  broker.append([
    {
      topic: 'events.dlq',
      partition: 0,
      key: Buffer.from(`k${originalOffset}`),
      value: omitted ? null : Buffer.from([0, 255, originalOffset]),
      timestamp: 1_700_000_000_000 + originalOffset,
      headers: [
        header('trace', 't'),
        header(deadLetterHeaders.exception, reason),
        header(deadLetterHeaders.message, 'why'),
        header(deadLetterHeaders.stacktrace, ''),
        header(deadLetterHeaders.topic, 'events'),
        header(deadLetterHeaders.partition, '2'),
        header(deadLetterHeaders.offset, String(originalOffset)),
        ...(omitted ? [header(deadLetterHeaders.omittedBytes, '2000000')] : []),
      ],
    },
  ])
}

const back = () => broker.read('events')

describe('millrace dlq replay', () => {
  it('puts records back as they were, into the partition that they came from', async () => {
    appendLetter(7)
    appendLetter(8)
    await dlq('replay', 'events')
    expect(told).toEqual(['2 records went back to where they came from'])
    const [first] = back()
    expect(first).toMatchObject({ partition: 2, timestamp: 1_700_000_000_007 })
    expect(first?.key).toEqual(Buffer.from('k7'))
    expect(first?.value).toEqual(Buffer.from([0, 255, 7]))
    expect(first?.headers.map(({ key, value }) => `${key}=${value}`)).toEqual([
      'trace=t',
      `${replayOfHeader}=events.dlq-0-0`,
    ])
  })

  it('puts each record back once: when repeated, and when it became a letter twice', async () => {
    appendLetter(7)
    appendLetter(7)
    await dlq('replay', 'events.dlq')
    await dlq('replay', 'events')
    appendLetter(7)
    appendLetter(9)
    await dlq('replay', 'events')
    expect(back().map(({ key }) => String(key))).toEqual(['k7', 'k9'])
    expect(told.map((line) => line.split(' ')[0])).toEqual(['1', '0', '1'])
  })

  it.each([
    ['was not committed', false],
    ['was committed, and the answer lost', true],
  ])('is made up for by the next one when its transaction %s', async (_, applied) => {
    appendLetter(7)
    appendLetter(8)
    broker.failNext('commit', { error: new StreamsError('OUTCOME_UNKNOWN', 'no answer'), applied })
    await expect(dlq('replay', 'events')).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await dlq('replay', 'events')
    await dlq('list', 'events')
    expect(told.at(-1)).toBe('0 records of events.dlq wait; 2 were replayed')
    expect(back().map(({ key }) => String(key))).toEqual(['k7', 'k8'])
  })

  it('takes what was chosen, and shows it without doing it', async () => {
    appendLetter(7)
    appendLetter(8, { reason: 'UNKNOWN_SCHEMA' })
    appendLetter(9, { reason: 'UNKNOWN_SCHEMA' })
    await dlq('replay', 'events', '--reason', 'UNKNOWN_SCHEMA', '--dry-run')
    expect(printed).toHaveLength(2)
    expect(back()).toEqual([])
    await dlq('replay', 'events', '--offset', '2')
    await dlq('replay', 'events', '--reason', 'UNKNOWN_SCHEMA')
    expect(back().map(({ key }) => String(key))).toEqual(['k9', 'k8'])
  })

  it('says which values are not there any more, and puts back the others', async () => {
    appendLetter(7, { omitted: true })
    appendLetter(8)
    await expect(dlq('replay', 'events')).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining('letters at 0 were too large'),
    })
    expect(back()).toHaveLength(1)
  })
})

describe('millrace dlq list and show', () => {
  it('list what waits, and with --all what does not', async () => {
    appendLetter(7)
    await dlq('replay', 'events')
    appendLetter(8)
    printed = []
    await dlq('list', 'events')
    expect(printed).toHaveLength(2)
    expect(printed[1]).toMatch(/events-2-8 +UNDECODABLE +3 +2023-11-14T22:13:20.008Z +open$/)
    printed = []
    await dlq('list', 'events', '--all')
    expect(printed).toHaveLength(3)
    expect(printed[1]).toMatch(/events-2-7 .*replayed$/)
  })

  it('show what it holds, and nothing that a terminal would obey', async () => {
    appendLetter(27)
    await dlq('show', 'events', '0')
    const shown = JSON.parse(printed.join('\n'))
    expect(shown).toMatchObject({ topic: 'events', partition: 2, originalOffset: 27, exception: 'UNDECODABLE' })
    expect(Buffer.from(shown.value.base64, 'base64')).toEqual(Buffer.from([0, 255, 27]))
    expect(shown.value.text).not.toContain('\u001b')
  })

  it('leave alone what is no letter', async () => {
    broker.append([{ topic: 'events.dlq', partition: 0, key: null, value: Buffer.from('x'), timestamp: 0 }])
    await dlq('list', 'events', '--all')
    expect(printed).toHaveLength(1)
    await dlq('replay', 'events')
    expect(back()).toEqual([])
  })
})

it.each([
  [[], 'USAGE', 'millrace dlq'],
  [['list'], 'USAGE', 'millrace dlq'],
  [['list', 'stats'], 'USAGE', '"stats" has no dead letters'],
  [['list', 'leads'], 'REFUSED', 'there is no topic leads.dlq'],
  [['show', 'events'], 'USAGE', 'millrace dlq'],
  [['show', 'events', '9'], 'REFUSED', 'no letter at offset 9'],
  [['show', 'events', 'x'], 'USAGE', '"x" is no offset'],
  [['replay', 'events', '--offset', '1,y'], 'USAGE', '"y" is no offset'],
  [['replay', 'events', '--force'], 'USAGE', '--force'],
])('%j is %s', async (args, code, message) => {
  await expect(dlq(...args)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
})
