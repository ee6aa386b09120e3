import { join } from 'node:path'
import {
  type ClickHouse,
  createEventRepository,
  type EventQuery,
  type EventRepository,
  StorageError,
} from '@millrace/storage/clickhouse'
import type { Bench } from '../bench.ts'
import { BenchError } from '../bench-error.ts'
import { chosenNames } from '../command-line.ts'
import { type Figure, figureOf } from '../figures.ts'
import { Machine } from '../machine.ts'
import { percentilesOf } from '../streams/percentiles.ts'
import { numberText, ratioText, textTable } from '../table.ts'
import { startClickHouseAlone } from './clickhouse-alone.ts'
import { copyToOldOrder, type NaiveWay, naivePage, oldTable } from './naive-queries.ts'
import { days, idOf, startMs, storeEvents, timeOf, types, users } from './stored-events.ts'

const dayMs = 86_400_000
const hourMs = 3_600_000
const pageRows = 100
const counts = { full: { events: 20_000_000, asked: 100 }, quick: { events: 1_000_000, asked: 20 } }
/** What comes first reads indexes and marks that later ones find in memory. */
const warmUps = 3
/** Naive ways may take seconds each. */
const naiveShare = 5
/** How far a reader has come who pages on: a thousand pages. */
const skippedRows = 1_000 * pageRows

/** What the questions are asked of. */
interface Asked {
  readonly clickHouse: ClickHouse
  readonly events: EventRepository
  readonly count: number
}

/** Asks once; returns how many rows came. */
type Ask = (of: Asked, index: number, cursor: string | undefined) => Promise<number>

/** A question of the API, with values that `index` draws. */
interface Question {
  readonly name: string
  readonly title: string
  /** What is not measured: makes the cursor of a question. */
  readonly prepare?: (of: Asked, index: number) => Promise<string | undefined>
  readonly ask: Ask
  readonly p95MsTarget?: number
  /** The same as one writes it first, and what that is called. */
  readonly naive?: readonly { readonly name: string; readonly ask: Ask }[]
}

const dayOf = (index: number) => startMs + ((index * 7) % (days - 1)) * dayMs
const typeOf = (index: number) => types[index % 4] ?? ''
const userOf = (index: number) => `user-${(index * 7_919) % users}`

/** A page through the repository, and by other ways. */
function pages(
  queryOf: (index: number) => Omit<EventQuery, 'limit'>,
  ways: Readonly<Record<string, NaiveWay>> = {},
): Pick<Question, 'ask' | 'naive'> {
  const query = (index: number) => ({ ...queryOf(index), limit: pageRows })
  return {
    ask: async ({ events }, index) => (await events.page(query(index))).events.length,
    naive: Object.entries(ways).map(([name, way]) => ({
      name,
      ask: ({ clickHouse }, index) => naivePage(clickHouse, query(index), way),
    })),
  }
}

const oldOrder = { 'the order before': { table: oldTable, once: 'limit-by' } } as const
const final = { FINAL: { table: 'events', once: 'final' } } as const

const questions: readonly Question[] = [
  {
    name: 'user-and-type',
    title: 'a user and a type, within a day',
    ...pages(
      (index) => ({
        userId: userOf(index),
        eventType: typeOf(index),
        fromMs: dayOf(index),
        toMs: dayOf(index) + dayMs,
      }),
      { ...oldOrder, ...final },
    ),
    p95MsTarget: 50,
  },
  {
    name: 'user',
    title: 'a user, within a day',
    ...pages((index) => ({ userId: userOf(index), fromMs: dayOf(index), toMs: dayOf(index) + dayMs }), oldOrder),
  },
  { name: 'user-alone', title: 'a user, without a time', ...pages((index) => ({ userId: userOf(index) }), oldOrder) },
  {
    name: 'hour',
    title: 'the first page of an hour',
    ...pages(
      (index) => {
        const fromMs = dayOf(index) + (index % 24) * hourMs
        return { fromMs, toMs: fromMs + hourMs }
      },
      { ...oldOrder, ...final },
    ),
    p95MsTarget: 100,
  },
  {
    name: 'all',
    title: 'the first page of everything',
    ...pages(() => ({}), { ...oldOrder, ...final }),
    p95MsTarget: 100,
  },
  {
    name: 'next-page',
    title: 'the page behind a cursor, 1,000 pages on',
    prepare: async ({ events, count }, index) => {
      const beforeMs = startMs + days * dayMs - Math.floor((skippedRows / count) * days * dayMs) - index
      return (await events.page({ limit: 1, toMs: beforeMs })).nextCursor ?? undefined
    },
    ask: async ({ events }, _, cursor) => (await events.page({ limit: pageRows, cursor })).events.length,
    p95MsTarget: 100,
    naive: [
      {
        name: 'OFFSET',
        ask: ({ clickHouse }) =>
          naivePage(clickHouse, { limit: pageRows }, { table: 'events', once: 'limit-by', offset: skippedRows }),
      },
    ],
  },
  {
    name: 'id',
    title: 'by event_id, without a time',
    ask: async ({ events, count }, index) => (await events.receipts(idOf((index * 104_729) % count), 10)).length,
    p95MsTarget: 50,
  },
  {
    name: 'ids-in-time',
    title: '100 ids within ten minutes: what a wait for stored events asks',
    ask: async ({ events, count }, index) => {
      const first = (index * 104_729) % (count - 100)
      const eventIds = Array.from({ length: 100 }, (_, offset) => idOf(first + offset))
      const atMs = timeOf(first, count)
      return (await events.storedSince({ eventIds, fromMs: atMs - 60_000, toMs: atMs + 540_000 })).length
    },
  },
]

/** What the API asks of ClickHouse, through the repository that the gateway uses, over merged tables; and beside it what one writes first. */
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
    report('Copying them into the order before …')
    await copyToOldOrder(clickHouse)
    const of = { clickHouse, events: createEventRepository(clickHouse), count }
    const figures: Figure[] = []
    const rows: (readonly string[])[] = []
    for (const { name, title, ask, prepare, naive = [], p95MsTarget: target } of questions) {
      if (!chosen.includes(name)) continue
      const ours = await time(ask, { of, asked, signal, prepare })
      if (ours.failure !== undefined) throw new BenchError(`"${title}" could not be answered: ${ours.failure}`)
      if (ours.found === 0) throw new BenchError(`"${title}" found nothing in ${asked} questions.`)
      report(`${name}: p95 ${numberText(ours.p95)} ms`)
      const measured = { bench: name, unit: 'ms', better: 'less' } as const
      const p95 = figureOf({ ...measured, figure: 'p95', ours: ours.p95, ...(target === undefined ? {} : { target }) })
      figures.push(figureOf({ ...measured, figure: 'p50', ours: ours.p50 }), p95)
      const met = target === undefined ? '' : `${target} ${p95.met === true ? 'met' : 'missed'}`
      rows.push([title, numberText(ours.p50), numberText(ours.p95), numberText(ours.found / asked), met])
      for (const way of naive) {
        const theirs = await time(way.ask, { of, asked: Math.ceil(asked / naiveShare), signal })
        const peer = { name: way.name, value: theirs.p50 }
        const figure = figureOf({ ...measured, figure: `p50 beside ${way.name}`, ours: ours.p50, peer })
        figures.push(figure)
        const times = theirs.failure ?? ratioText(figure.ratio)
        rows.push([`  ${way.name}`, numberText(theirs.p50), numberText(theirs.p95), '', '', times])
      }
    }
    const head = ['question', 'p50, ms', 'p95, ms', 'rows', 'target of p95', 'p50 beside ours']
    show({
      figures,
      text: `${textTable(head, rows)}\n${count.toLocaleString('en')} events of ${days} days\n${machine.conditions()}`,
    })
  } finally {
    await stop()
  }
}

interface Timed {
  readonly p50: number | null
  readonly p95: number | null
  readonly found: number
  /** Why it could not be answered within the bounds of a query. */
  readonly failure: string | undefined
}

/** Asks one question after the other. Throws what is not the server's refusal of an expensive query. */
async function time(
  ask: Ask,
  run: {
    readonly of: Asked
    readonly asked: number
    readonly signal: AbortSignal
    readonly prepare?: Question['prepare'] | undefined
  },
): Promise<Timed> {
  const tookMs: number[] = []
  let found = 0
  for (let index = -warmUps; index < run.asked; index++) {
    run.signal.throwIfAborted()
    const cursor = await run.prepare?.(run.of, Math.abs(index))
    const startedMs = performance.now()
    try {
      const rows = await ask(run.of, Math.abs(index), cursor)
      if (index < 0) continue
      found += rows
    } catch (error) {
      if (!(error instanceof StorageError) || !refusals.has(error.code)) throw error
      return { p50: null, p95: null, found, failure: error.code === 'OVERLOADED' ? 'out of memory' : 'out of time' }
    }
    tookMs.push(performance.now() - startedMs)
  }
  const { p50, p95 } = percentilesOf(tookMs)
  return { p50, p95, found, failure: undefined }
}

const refusals: ReadonlySet<string> = new Set(['OVERLOADED', 'QUERY_TOO_EXPENSIVE', 'TIMED_OUT'])
