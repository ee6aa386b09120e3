import { drainPending, Session } from 'chdb'
import { ClickhouseFailure, type FailureNames, toFailure } from './failure.ts'
import { limits } from './limits.ts'

/** How much a statement may change: everything; nothing but settings; nothing. As ClickHouse's setting `readonly` has it. */
export type ReadOnly = 0 | 2 | 1

/** One statement with everything that goes with it. */
export interface EngineQuery {
  /** The client's name for it, by which it can be killed. */
  readonly id: string
  readonly sql: string
  /** The output format, when the statement names none. */
  readonly format: string
  readonly database: string | undefined
  readonly settings: ReadonlyMap<string, string>
  /** Values of `{name:Type}`, in ClickHouse's escaped text form. */
  readonly parameters: ReadonlyMap<string, string>
  readonly readonly: ReadOnly
}

/** What a statement did, and its rows in the format asked for. */
export interface EngineResult {
  readonly bytes: Uint8Array
  readonly rowsRead: number
  readonly bytesRead: number
  readonly elapsedS: number
}

/** The embedded ClickHouse. Every call runs on a thread of its own: the event loop stays free. */
export interface Engine {
  readonly version: string
  readonly timezone: string
  /** Runs a statement to its end. Throws ClickhouseFailure. */
  readonly run: (query: EngineQuery) => Promise<EngineResult>
  /** Runs a SELECT and hands its rows on as they come. Only for formats whose chunks can be put one after another. */
  readonly stream: (query: EngineQuery, signal: AbortSignal) => AsyncGenerator<Uint8Array>
  /** Ends a running statement, if there is one with this id: whoever waits for it gets QUERY_WAS_CANCELLED. Without an id, every statement. */
  readonly kill: (id?: string) => Promise<void>
  /** Waits for the running statements and closes the data folder. Idempotent. */
  readonly close: () => Promise<void>
}

/**
 * Opens the data folder. A request gets a connection of its own (1 ms), as it would from a server: settings, parameters and the
 * current database of one request are never seen by another.
 */
export async function openEngine(folder: string, database: string): Promise<Engine> {
  // Holds the data folder open; libchdb closes it with its last connection.
  const keeper = new Session(folder)
  await keeper.queryAsync(`CREATE DATABASE IF NOT EXISTS \`${database}\``)
  const about = (await keeper.queryAsync('SELECT version(), timezone()', { format: 'TabSeparatedRaw' }))
    .text()
    .trim()
    .split('\t')
  const names = await failureNames(keeper)
  const slots = createSlots()
  let closing: Promise<void> | undefined

  return {
    version: about[0] ?? '',
    timezone: about[1] ?? 'UTC',
    run: async (query) => {
      await slots.take()
      const session = new Session(folder)
      try {
        await session.queryAsync(prologue(query, { max_result_bytes: String(limits.bufferedResultBytesMax) }))
        const result = await session.queryAsync(query.sql, { format: query.format })
        return {
          bytes: result.bytes(),
          rowsRead: result.rowsRead,
          bytesRead: result.bytesRead,
          elapsedS: result.elapsed,
        }
      } catch (error) {
        throw toFailure(error, names)
      } finally {
        session.close()
        slots.give()
      }
    },
    stream: async function* (query, signal) {
      await slots.take()
      const session = new Session(folder)
      try {
        await session.queryAsync(prologue(query, {}))
        for await (const chunk of session.queryStream(query.sql, { format: query.format, signal })) yield chunk.raw()
      } catch (error) {
        if (!signal.aborted) throw toFailure(error, names)
      } finally {
        session.close()
        slots.give()
      }
    },
    kill: async (id) => {
      // Takes no slot: it must work when all are taken.
      const session = new Session(folder)
      try {
        const which = id === undefined ? "query NOT ILIKE 'KILL%'" : `${runningId} = ${quote(id)}`
        await session.queryAsync(`KILL QUERY WHERE ${which} ASYNC`)
      } finally {
        session.close()
      }
    },
    close: () => {
      closing ??= (async () => {
        await drainPending()
        keeper.close()
        await drainPending()
      })()
      return closing
    },
  }
}

/** The client's id of a running statement; the engine's own is another. */
export const runningId = "splitByChar('\\n', Settings['log_comment'])[1]"

/** The settings of a request as statements of its connection: the bounds first, so that a request may set its own. */
function prologue(query: EngineQuery, bounds: Readonly<Record<string, string>>): string {
  const settings = new Map<string, string>([
    // A word that is no statement is an error, as on a server; embedded, it would be taken for `SELECT word`.
    ['implicit_select', '0'],
    ['max_threads', String(limits.threadsMax)],
    ['max_memory_usage', String(limits.queryMemoryBytesMax)],
    ['max_execution_time', String(limits.querySecondsMax)],
    ...Object.entries(bounds),
    ...query.settings,
    ['log_comment', `${query.id}\n${query.settings.get('log_comment') ?? ''}`],
    ...[...query.parameters].map(([name, value]): [string, string] => [`param_${name}`, value]),
  ])
  // Last, since nothing can be set after it.
  settings.delete('readonly')
  if (query.readonly !== 0) settings.set('readonly', String(query.readonly))
  const assignments = [...settings].map(([name, value]) => `${name} = ${quote(value)}`)
  const use = query.database === undefined ? '' : `USE ${quoteIdentifier(query.database)}; `
  return `${use}SET ${assignments.join(', ')}`
}

async function failureNames(session: Session): Promise<FailureNames> {
  const sql = "SELECT number, errorCodeToName(number) AS name FROM numbers(1200) WHERE name != ''"
  const text = (await session.queryAsync(sql, { format: 'TabSeparatedRaw' })).text()
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => [Number(line.split('\t')[0]), line.split('\t')[1] ?? '']),
  )
}

/** At most `runningMax` statements at a time, at most `waitingMax` waiting for their turn. */
function createSlots(): { take: () => Promise<void>; give: () => void } {
  let free: number = limits.runningMax
  const waiting: (() => void)[] = []
  return {
    take: async () => {
      if (free > 0) {
        free--
        return
      }
      if (waiting.length >= limits.waitingMax) {
        const message = `Too many simultaneous queries: ${limits.runningMax} run and ${limits.waitingMax} wait`
        throw new ClickhouseFailure(202, 'TOO_MANY_SIMULTANEOUS_QUERIES', message)
      }
      await new Promise<void>((resolve) => waiting.push(resolve))
    },
    give: () => {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    },
  }
}

function quote(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

function quoteIdentifier(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``
}
