import { setTimeout as delay } from 'node:timers/promises'
import type { ClickHouse } from '@millrace/storage/clickhouse'
import { BenchError } from '../bench-error.ts'
import { startSink, type Way, wayNames } from './sides.ts'

/** What one run has shown. */
export interface Measurement {
  readonly cpuMicros: number
  readonly rowsPerSecond: number
}

/** What a run works with. */
export interface RunOptions {
  readonly clickHouse: ClickHouse
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Records of the topic. */
  readonly records: number
  /** Where the sink leaves a CPU profile, from the first rows to the end. */
  readonly profileFile: string | undefined
  readonly signal: AbortSignal
}

const pollMs = 50
/** A way that is so slow is measured for this long instead of to the end. */
const measuredMsMax = 60_000
/** A process that has nothing to store has come to rest when it uses less than this share of a core. */
const restShare = 0.03
const restPollMs = 5_000
const restPollsMax = 24
const startDeadlineMs = 120_000

/**
 * Lets a sink store the topic into an empty table. CPU is that of the whole process, less what the same process takes to start and find nothing; the
 * first row begins the time. Throws a `BenchError` when the table does not hold every record once.
 */
export async function measure(way: Way, options: RunOptions): Promise<Measurement> {
  const { clickHouse, records } = options
  const group = `bench-${way}-${Date.now()}`
  await clickHouse.command('emptying events', 'TRUNCATE TABLE events')
  const { environment, profileFile } = options
  const sink = startSink(way, { group, environment, profileFile })
  let run: Run
  try {
    run = await untilStored(options, () => sink.cpuMicros())
  } finally {
    await sink.stop()
  }
  // What was not stored to its end would be stored on by another start: there the first rows are where the counting begins.
  const seconds = run.endMs / 1_000 - run.firstMs / 1_000
  const rowsPerSecond = (run.rows - run.firstRows) / seconds
  if (run.rows < records) {
    return { cpuMicros: (run.cpuMicros - run.firstCpuMicros) / (run.rows - run.firstRows), rowsPerSecond }
  }
  await checkRows(clickHouse, records)
  return { cpuMicros: (run.cpuMicros - (await idleCpu(way, group, options))) / records, rowsPerSecond }
}

/** What was seen at the first rows, and at the end. */
interface Run {
  readonly firstMs: number
  readonly firstRows: number
  readonly firstCpuMicros: number
  readonly endMs: number
  readonly rows: number
  readonly cpuMicros: number
}

/** What the process takes to start, when everything is stored under its group. */
async function idleCpu(way: Way, group: string, { environment }: RunOptions): Promise<number> {
  const sink = startSink(way, { group, environment, profileFile: undefined })
  try {
    let before = 0
    for (let poll = 0; poll < restPollsMax; poll++) {
      await delay(restPollMs)
      const cpuMicros = await sink.cpuMicros()
      if (cpuMicros - before < restShare * restPollMs * 1_000) return before
      before = cpuMicros
    }
    throw new BenchError(`${wayNames[way]} does not come to rest when there is nothing to store.`)
  } finally {
    await sink.stop()
  }
}

async function untilStored(
  { clickHouse, records, signal }: RunOptions,
  cpuMicros: () => Promise<number>,
): Promise<Run> {
  const startedMs = performance.now()
  let first: Pick<Run, 'firstMs' | 'firstRows' | 'firstCpuMicros'> | undefined
  for (;;) {
    signal.throwIfAborted()
    const rows = await rowsOf(clickHouse)
    const endMs = performance.now()
    if (first === undefined && rows > 0) {
      first = { firstMs: endMs, firstRows: rows, firstCpuMicros: await cpuMicros() }
    } else if (first !== undefined && (rows >= records || endMs - first.firstMs > measuredMsMax)) {
      return { ...first, endMs, rows, cpuMicros: await cpuMicros() }
    }
    if (rows === 0 && endMs - startedMs > startDeadlineMs)
      throw new BenchError(`The sink stored nothing in ${startDeadlineMs / 1_000} s.`)
    await delay(pollMs)
  }
}

async function rowsOf(clickHouse: ClickHouse): Promise<number> {
  const [row] = await clickHouse.query('counting', { sql: 'SELECT count() AS found FROM events' })
  return Number(row?.found)
}

async function checkRows(clickHouse: ClickHouse, records: number): Promise<void> {
  const [row] = await clickHouse.query('counting', {
    sql: 'SELECT count() AS found, uniqExact(_partition, _offset) AS places, uniqExact(event_id) AS ids FROM events',
  })
  if (Number(row?.found) !== records || Number(row?.places) !== records || Number(row?.ids) !== records) {
    throw new BenchError(`events should hold ${records} rows, places and ids, and holds ${JSON.stringify(row)}.`)
  }
}
