import { join } from 'node:path'
import { createEventRepository, type EventRepository } from '@millrace/storage/clickhouse'
import type { Bench } from '../bench.ts'
import { BenchError } from '../bench-error.ts'
import { chosenNames } from '../command-line.ts'
import { type Figure, figureOf } from '../figures.ts'
import { Machine } from '../machine.ts'
import { percentilesOf } from '../streams/percentiles.ts'
import { numberText, textTable } from '../table.ts'
import { startClickHouseAlone } from './clickhouse-alone.ts'
import { days, idOf, startMs, storeEvents, timeOf, types, users } from './stored-events.ts'

const dayMs = 86_400_000
const hourMs = 3_600_000
const pageRows = 100
const counts = { full: { events: 20_000_000, asked: 100 }, quick: { events: 1_000_000, asked: 20 } }

/** A question of the API, with values that `index` draws. */
interface Question {
  readonly name: string
  readonly title: string
  /** Returns how many rows came. */
  readonly ask: (events: EventRepository, index: number, count: number) => Promise<number>
  readonly p95MsTarget?: number
}

const dayOf = (index: number) => startMs + ((index * 7) % (days - 1)) * dayMs
const typeOf = (index: number) => types[index % 4] ?? ''
const userOf = (index: number) => `user-${(index * 7_919) % users}`
const page = async (events: EventRepository, query: Omit<Parameters<EventRepository['page']>[0], 'limit'>) =>
  (await events.page({ limit: pageRows, ...query })).events.length

const questions: readonly Question[] = [
  {
    name: 'user-and-type',
    title: 'a user and a type, within a day',
    ask: (events, index) =>
      page(events, {
        userId: userOf(index),
        eventType: typeOf(index),
        fromMs: dayOf(index),
        toMs: dayOf(index) + dayMs,
      }),
    p95MsTarget: 50,
  },
  {
    name: 'user',
    title: 'a user, within a day',
    ask: (events, index) => page(events, { userId: userOf(index), fromMs: dayOf(index), toMs: dayOf(index) + dayMs }),
  },
  {
    name: 'hour',
    title: 'the first page of an hour',
    ask: (events, index) => {
      const fromMs = dayOf(index) + (index % 24) * hourMs
      return page(events, { fromMs, toMs: fromMs + hourMs })
    },
  },
  {
    name: 'id',
    title: 'by event_id, without a time',
    ask: async (events, index, count) => (await events.receipts(idOf((index * 104_729) % count), 10)).length,
    p95MsTarget: 50,
  },
  {
    name: 'ids-in-time',
    title: '100 ids within ten minutes: what a wait for stored events asks',
    ask: async (events, index, count) => {
      const first = (index * 104_729) % (count - 100)
      const eventIds = Array.from({ length: 100 }, (_, offset) => idOf(first + offset))
      const atMs = timeOf(first, count)
      return (await events.storedSince({ eventIds, fromMs: atMs - 60_000, toMs: atMs + 540_000 })).length
    },
  },
]

/** What the API asks of ClickHouse, through the repository that the gateway uses, over a table of one merged part. */
export const queriesBench: Bench = async ({ command, scratch, report, signal }, show) => {
  const machine = new Machine()
  const chosen = chosenNames(
    questions.map(({ name }) => name),
    command.only,
  )
  const { events: count, asked } = command.quick ? counts.quick : counts.full
  const { clickHouse, stop } = await startClickHouseAlone(join(scratch, 'clickhouse'))
  try {
    await storeEvents(clickHouse, count, report)
    const events = createEventRepository(clickHouse)
    const figures: Figure[] = []
    const rows: (readonly string[])[] = []
    for (const question of questions.filter(({ name }) => chosen.includes(name))) {
      const { p50, p95, found } = await time(question, { events, asked, count, signal })
      report(`${question.name}: p95 ${numberText(p95)} ms`)
      const target = question.p95MsTarget
      const measured = { bench: question.name, unit: 'ms', better: 'less' } as const
      const figure = figureOf({ ...measured, figure: 'p95', ours: p95, ...(target === undefined ? {} : { target }) })
      figures.push(figureOf({ ...measured, figure: 'p50', ours: p50 }), figure)
      const met = target === undefined ? '' : `${target} ${figure.met === true ? 'met' : 'missed'}`
      rows.push([question.title, numberText(p50), numberText(p95), numberText(found / asked), met])
    }
    const table = textTable(['question', 'p50, ms', 'p95, ms', 'rows', 'target of p95'], rows)
    show({ figures, text: `${table}\n${count.toLocaleString('en')} events of ${days} days\n${machine.conditions()}` })
  } finally {
    await stop()
  }
}

/** Throws a `BenchError` when nothing ever comes: then the question is not about these events. */
async function time(
  question: Question,
  of: {
    readonly events: EventRepository
    readonly asked: number
    readonly count: number
    readonly signal: AbortSignal
  },
): Promise<{ readonly p50: number; readonly p95: number; readonly found: number }> {
  const { events, asked, count, signal } = of
  const tookMs: number[] = []
  let found = 0
  for (let index = 0; index < asked; index++) {
    signal.throwIfAborted()
    const startedMs = performance.now()
    found += await question.ask(events, index, count)
    tookMs.push(performance.now() - startedMs)
  }
  if (found === 0) throw new BenchError(`"${question.title}" found nothing in ${asked} questions.`)
  const { p50, p95 } = percentilesOf(tookMs)
  return { p50, p95, found }
}
