import {
  createLeadRepository,
  type LeadCondition,
  type LeadQuery,
  type LeadRepository,
  openMysql,
  StorageError,
} from '@millrace/storage/mysql'
import { readLeadKey } from '@millrace/storage/sealing'
import type { Bench, BenchContext } from '../bench.ts'
import { BenchError } from '../bench-error.ts'
import { chosenNames } from '../command-line.ts'
import { type Figure, figureOf } from '../figures.ts'
import { gatewayServers } from '../gateway/servers.ts'
import { Machine } from '../machine.ts'
import { mysqlOptions } from '../mysql-options.ts'
import { percentilesOf } from '../streams/percentiles.ts'
import { numberText, textTable } from '../table.ts'
import { budgetMax, days, sources, startMs, storeLeads } from './stored-leads.ts'

const pageRows = 50
const counts = { full: { leads: 300_000, asked: 100 }, quick: { leads: 20_000, asked: 20 } }
/** What comes first reads pages of indexes that later ones find in memory. */
const warmUps = 3
/** How far a reader has come who pages on. */
const pagesSkipped = 100

type Filter = Omit<LeadQuery, 'limit' | 'page' | 'cursor'>

/** A question of the API, with values that `index` draws. */
interface Question {
  readonly name: string
  readonly title: string
  readonly filter: (index: number) => Filter
  /** Asked for the page behind a cursor. */
  readonly isDeep?: boolean
}

const budget = (operator: 'eq' | 'gte', value: number): LeadCondition => {
  return { attribute: 'budget', type: 'number', operator, values: [value] }
}
const text = (attribute: string, operator: 'eq' | 'prefix', value: string): LeadCondition => {
  return { attribute, type: 'text', operator, values: [value] }
}
const sourceAt = (index: number) => sources[index % sources.length] ?? 'web'
const planAt = (index: number) => ['pro', 'basic', 'trial', 'free'][index % 4] ?? ''

const questions: readonly Question[] = [
  { name: 'all', title: 'the newest', filter: () => ({}) },
  { name: 'source', title: 'of a source', filter: (index) => ({ source: sourceAt(index) }) },
  { name: 'source-deep', title: 'of a source, 100 pages on', filter: () => ({ source: 'web' }), isDeep: true },
  {
    name: 'source-status',
    title: 'duplicates of a source, 1 of 50 there',
    filter: () => ({ source: 'web', status: 'duplicate' }),
  },
  {
    name: 'plan',
    title: 'a text that every fourth has',
    filter: (index) => ({ attributes: [text('plan', 'eq', planAt(index))] }),
  },
  {
    name: 'budget-tenth',
    title: 'a number above 9 of 10',
    filter: (index) => ({ attributes: [budget('gte', budgetMax * 0.9 - index)] }),
  },
  {
    name: 'budget-thousandth',
    title: 'a number above 999 of 1,000',
    filter: (index) => ({ attributes: [budget('gte', budgetMax * 0.999 - index)] }),
  },
  {
    name: 'budget-exact',
    title: 'a number that three have',
    filter: (index) => ({ attributes: [budget('eq', (index * 7_919) % budgetMax)] }),
  },
  {
    name: 'source-and-budget',
    title: 'a source, and a number above 999 of 1,000',
    filter: (index) => ({ source: sourceAt(index), attributes: [budget('gte', budgetMax * 0.999 - index)] }),
  },
  {
    name: 'plan-and-budget',
    title: 'a text that every fourth has, and a number above 999 of 1,000',
    filter: (index) => ({ attributes: [text('plan', 'eq', planAt(index)), budget('gte', budgetMax * 0.999)] }),
  },
  {
    name: 'prefix',
    title: 'the beginning of a text that some 200 share',
    filter: (index) => ({
      attributes: [text('reference', 'prefix', `${'bcdefghijk'[index % 10]}${'0123456789'[index % 7]}`)],
    }),
  },
]

/** Pages of leads as `GET /leads` asks for them, through the repository that the gateway uses, with their totals and opened. */
export const leadPagesBench: Bench = async (context, show) => {
  const machine = new Machine()
  const chosen = chosenNames(
    questions.map(({ name }) => name),
    context.command.only,
  )
  const { leads: count, asked } = context.command.quick ? counts.quick : counts.full
  const servers = await gatewayServers(context)
  const { variables } = servers
  const leadKey = readLeadKey(variables.MILLRACE_LEAD_KEY ?? '')
  const mysql = openMysql(mysqlOptions(variables))
  try {
    await storeLeads(mysql, leadKey, { count, report: context.report })
    const repository = createLeadRepository(mysql, leadKey)
    const figures: Figure[] = []
    const rows: (readonly string[])[] = []
    for (const question of questions.filter(({ name }) => chosen.includes(name))) {
      const { p50, p95, found, total } = await time(question, { repository, asked, context })
      context.report(`${question.name}: p95 ${numberText(p95)} ms`)
      const measured = { bench: question.name, unit: 'ms', better: 'less' } as const
      figures.push(
        figureOf({ ...measured, figure: 'p50', ours: p50 }),
        figureOf({ ...measured, figure: 'p95', ours: p95 }),
      )
      rows.push([question.title, numberText(p50), numberText(p95), numberText(found), numberText(total)])
    }
    const table = textTable(['leads', 'p50, ms', 'p95, ms', 'rows', 'total'], rows)
    const of = `${count.toLocaleString('en')} leads of ${days} days, from ${new Date(startMs).toISOString().slice(0, 10)} on`
    show({ figures, text: `${table}\n${of}; pages of ${pageRows}\n${machine.conditions()}` })
  } finally {
    await mysql.close()
    await servers.stop()
  }
}

interface Timed {
  readonly p50: number
  readonly p95: number
  /** On average, of a page. */
  readonly found: number
  /** On average, as far as it is counted. */
  readonly total: number
}

/** Asks one question after the other. Throws a `BenchError` when one finds nothing, or is refused. */
async function time(
  { title, filter, isDeep = false }: Question,
  run: { readonly repository: LeadRepository; readonly asked: number; readonly context: BenchContext },
): Promise<Timed> {
  const { repository, asked, context } = run
  const tookMs: number[] = []
  let [found, total] = [0, 0]
  for (let index = -warmUps; index < asked; index++) {
    context.signal.throwIfAborted()
    const query = { ...filter(Math.abs(index)), limit: pageRows }
    const cursor = isDeep ? await deepCursor(repository, query) : undefined
    const startedMs = performance.now()
    const page = await repository.list({ ...query, cursor }).catch((error: unknown) => {
      if (!(error instanceof StorageError)) throw error
      throw new BenchError(`"${title}" could not be answered: ${error.message}`)
    })
    if (index < 0) continue
    tookMs.push(performance.now() - startedMs)
    found += page.leads.length
    total += page.total
  }
  if (found === 0) throw new BenchError(`"${title}" found nothing in ${asked} questions.`)
  const { p50, p95 } = percentilesOf(tookMs)
  return { p50, p95, found: found / asked, total: total / asked }
}

/** The cursor behind a numbered page, which is what is not measured. */
async function deepCursor(repository: LeadRepository, query: LeadQuery): Promise<string | undefined> {
  return (await repository.list({ ...query, page: pagesSkipped })).nextCursor ?? undefined
}
