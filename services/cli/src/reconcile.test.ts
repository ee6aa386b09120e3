import {
  OperationsError,
  type Reconciler,
  type ReconciliationRange,
  type TopicReconciliation,
} from '@millrace/operations'
import { beforeEach, describe, expect, it } from 'vitest'
import { runReconcile } from './reconcile.ts'

const nowMs = Date.UTC(2026, 10, 21, 9, 30)
const minuteMs = nowMs - 600_000

const whole: TopicReconciliation = {
  topic: 'events',
  store: 'clickhouse',
  minutes: [
    {
      minuteMs,
      isSettled: true,
      acknowledged: 5,
      kafka: 5,
      processed: 5,
      stored: 4,
      resent: 0,
      deadLettered: 1,
      waiting: 0,
      missing: 0,
      doubled: 0,
    },
  ],
  differences: [],
  totals: { gateway: 0, store: 0, waiting: 0, processor: 0 },
  isComplete: true,
}
const lossy: TopicReconciliation = {
  ...whole,
  differences: [{ stage: 'store', minuteMs, records: 3, partition: 2, firstOffset: 7, nextOffset: 10 }],
  totals: { ...whole.totals, store: 3 },
}

let asked: ReconciliationRange[]
let printed: string[]

beforeEach(() => {
  asked = []
  printed = []
})

function run(topic: TopicReconciliation, ...args: string[]) {
  const reconciler: Reconciler = {
    async run(range) {
      asked.push(range)
      if (range.fromMs > range.toMs) throw new OperationsError('BAD_RANGE', 'the range ends before it begins')
      return { ...range, settledMs: nowMs - range.boundMs, ranAtMs: nowMs, tookMs: 9, topics: [topic] }
    },
  }
  const deps = {
    reconciler,
    nowMs: () => nowMs,
    print: (line: string) => void printed.push(line),
    tell: () => undefined,
  }
  return runReconcile(args, deps)
}

describe('millrace reconcile', () => {
  it('looks at the last hour, and prints sums', async () => {
    await run(whole)
    expect(asked).toEqual([{ fromMs: nowMs - 3_600_000, toMs: nowMs, topics: undefined, boundMs: 300_000 }])
    expect(printed.map((line) => line.split(/ +/).slice(0, 7).join(' '))).toEqual([
      'TOPIC ACKNOWLEDGED KAFKA PROCESSED STORED RESENT DEAD',
      'events 5 5 5 4 0 1',
    ])
  })

  it('fails when there are differences, and says where', async () => {
    await expect(run(lossy)).rejects.toMatchObject({ exitCode: 1, message: expect.stringMatching(/^3 records of/) })
    expect(printed.at(-1)).toMatch(/^events +store +2026-11-21T09:20:00Z +3 +2 +7-9$/)
  })

  it('prints the same as JSON', async () => {
    await expect(run(lossy, '--json')).rejects.toMatchObject({ exitCode: 1 })
    expect(JSON.parse(printed.join('\n')).topics).toEqual([lossy])
  })

  it('takes a range, a topic and a bound', async () => {
    await run(
      whole,
      '--from',
      '2026-11-21T08:00:00Z',
      '--to',
      '2026-11-21T08:10:00Z',
      '--topic',
      'leads',
      '--bound',
      '60',
    )
    const fromMs = Date.UTC(2026, 10, 21, 8)
    expect(asked).toEqual([{ fromMs, toMs: fromMs + 600_000, topics: ['leads'], boundMs: 60_000 }])
  })

  it.each([
    [['--from', 'yesterday'], 'USAGE', '"yesterday" is no time'],
    [['--topic', 'stats'], 'USAGE', 'none of events, leads, api-logs'],
    [['--bound', '1m'], 'USAGE', 'no number of seconds'],
    [['now'], 'USAGE', 'millrace reconcile'],
    [['--from', '2027-01-01'], 'REFUSED', 'ends before it begins'],
  ])('%j is %s', async (args, code, message) => {
    await expect(run(whole, ...args)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  })
})
