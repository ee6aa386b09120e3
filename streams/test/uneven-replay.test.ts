import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { count, memoryStores, StreamsBuilder, type Topology, tumblingWindows, utf8 } from '../src/index.ts'
import { type CrashPoint, TopologyDriver } from '../src/testing/index.ts'
import { CopiedStores } from './copied-stores.ts'
import { loadingStores } from './loading-stores.ts'

/*
 * A year of history in four partitions, each in the order of time, read unevenly: one partition may be months ahead of another, as it is
 * when an application starts anew or catches up. With watermarks across the repartition nothing of it is late, whatever the grace.
 */

const hourMs = 3_600_000
const sizesMs = { hour: hourMs, day: 24 * hourMs }
const startOfYearMs = Date.UTC(2025, 0, 1)
const yearMs = 365 * 24 * hourMs
const partitions = 4
const recordsPerPartition = 150
const types = ['click', 'purchase', 'view']

interface Occurrence {
  readonly type: string
  readonly timestamp: number
}

type Step =
  | { readonly kind: 'read'; readonly partition: number; readonly records: number }
  | { readonly kind: 'commit' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'crash-in-commit'; readonly at: CrashPoint }

function countsTopology(graceMs: number): Topology {
  const builder = new StreamsBuilder()
  const partials = builder
    .stream('events', { key: utf8, value: utf8 })
    .groupBy((type) => type, { key: utf8 })
    .preAggregate({ name: 'by-type', windowSizeMs: hourMs, aggregator: count() })
  for (const [name, sizeMs] of Object.entries(sizesMs)) {
    partials
      .windowedBy(tumblingWindows({ sizeMs, graceMs }))
      .merge({ store: `per-${name}`, emit: 'updates-and-close' })
      .results()
      .map(({ result, final }, { key, startMs }) => ({ key: `${key} ${startMs}`, value: `${result} ${final}` }))
      .to(name, { key: utf8, value: utf8 })
  }
  return builder.build()
}

/** Each partition's history: times spread over the year, ascending. */
const histories = fc
  .array(
    fc.array(fc.tuple(fc.constantFrom(...types), fc.nat(yearMs - 1)), {
      minLength: recordsPerPartition,
      maxLength: recordsPerPartition,
    }),
    {
      minLength: partitions,
      maxLength: partitions,
    },
  )
  .map((all) =>
    all.map((one): readonly Occurrence[] =>
      one
        .map(([type, offset]) => ({ type, timestamp: startOfYearMs + offset }))
        .sort((left, right) => left.timestamp - right.timestamp),
    ),
  )

const read = fc.record({
  kind: fc.constant('read' as const),
  partition: fc.nat(partitions - 1),
  records: fc.integer({ min: 1, max: recordsPerPartition }),
})
const commit = fc.record({ kind: fc.constant('commit' as const) })
const crash = fc.oneof(
  fc.record({ kind: fc.constant('crash' as const) }),
  fc.record({
    kind: fc.constant('crash-in-commit' as const),
    at: fc.constantFrom<CrashPoint>('before-transaction', 'after-transaction'),
  }),
)
const evenReading: readonly Step[] = Array.from({ length: partitions }, (_, partition) => ({
  kind: 'read',
  partition,
  records: recordsPerPartition,
}))

/** Leaves windows open over a commit of the task that counts: what is closed in the commit that it came in is never in a changelog. */
const openWindows: readonly Step[] = [
  ...Array.from(
    { length: partitions },
    (_, partition) => ({ kind: 'read', partition, records: 10 + 20 * partition }) as const,
  ),
  { kind: 'commit' },
  { kind: 'commit' },
]

/** Reads as the steps say, then what they left over, and lets the windows close as input stops. */
async function replay(
  driver: TopologyDriver,
  history: readonly (readonly Occurrence[])[],
  steps: readonly Step[],
): Promise<void> {
  const positions = history.map(() => 0)
  for (const step of [...steps, ...evenReading]) {
    if (step.kind === 'commit') await driver.commit()
    else if (step.kind === 'crash') await driver.crash()
    else if (step.kind === 'crash-in-commit') await driver.commit(step.at)
    else {
      const from = positions[step.partition] ?? 0
      for (const { type, timestamp } of history[step.partition]?.slice(from, from + step.records) ?? [])
        await driver.pipe(
          'events',
          { key: utf8, value: utf8 },
          { key: null, value: type, timestamp, partition: step.partition },
        )
      positions[step.partition] = from + step.records
    }
  }
  await driver.commit()
  await driver.idle()
}

/** The last result of each window, and how often a final one came. */
function resultsOf(driver: TopologyDriver, topic: string) {
  const counts = new Map<string, number>()
  const finals = new Map<string, number>()
  for (const { key, value } of driver.read(topic, { key: utf8, value: utf8 })) {
    const [result, final] = (value ?? '').split(' ')
    expect(finals.has(key ?? '')).toBe(false)
    counts.set(key ?? '', Number(result))
    if (final === 'true') finals.set(key ?? '', Number(result))
  }
  return { counts, finals }
}

function expectedCounts(history: readonly (readonly Occurrence[])[], sizeMs: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { type, timestamp } of history.flat()) {
    const key = `${type} ${timestamp - (timestamp % sizeMs)}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

function expectExact(driver: TopologyDriver, history: readonly (readonly Occurrence[])[], graceMs: number): void {
  const lastMs = Math.max(...history.map((one) => one.at(-1)?.timestamp ?? -1))
  for (const [name, sizeMs] of Object.entries(sizesMs)) {
    const expected = expectedCounts(history, sizeMs)
    const { counts, finals } = resultsOf(driver, name)
    expect(counts).toEqual(expected)
    const closed = [...expected].filter(([key]) => Number(key.split(' ')[1]) + sizeMs <= lastMs - graceMs)
    expect(finals).toEqual(new Map(closed))
  }
}

describe.each([0, 10_000])('with a grace of %d ms', (graceMs) => {
  test('counts are exact, nothing is late, and each closed window is final once', async () => {
    const steps = fc.array(fc.oneof({ weight: 3, arbitrary: read }, commit), { maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(histories, steps, async (history, interleaving) => {
        const driver = new TopologyDriver(countsTopology(graceMs), { partitions, commit: 'manual' })
        await replay(driver, history, interleaving)
        expect(driver.dropped).toEqual(new Map())
        expectExact(driver, history, graceMs)
        await driver.close()
      }),
      { numRuns: 12 },
    )
  })

  test('so are they through crashes at any point of any commit, with rows that have to be loaded', async () => {
    const steps = fc.array(fc.oneof({ weight: 3, arbitrary: read }, commit, crash), { maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(histories, steps, async (history, interleaving) => {
        const stores = loadingStores(memoryStores('test'))
        const driver = new TopologyDriver(countsTopology(graceMs), { partitions, commit: 'manual', stores })
        await replay(driver, history, interleaving)
        expect(driver.dropped).toEqual(new Map())
        expectExact(driver, history, graceMs)
        await driver.close()
      }),
      { numRuns: 12 },
    )
  })

  test('so are they when copies take over that have forgotten all that they may', async () => {
    let forgotten = 0
    const steps = fc.array(fc.oneof({ weight: 2, arbitrary: read }, commit, crash), { maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(histories, steps, async (history, interleaving) => {
        const topology = countsTopology(graceMs)
        const copies = new CopiedStores(topology, { events: partitions, hour: partitions, day: partitions })
        const driver = new TopologyDriver(topology, { partitions, commit: 'manual', stores: copies.provider })
        copies.follow(driver)
        await replay(driver, history, [...openWindows, ...interleaving])
        expect(driver.dropped).toEqual(new Map())
        expectExact(driver, history, graceMs)
        await driver.crash()
        forgotten += copies.forgotten
        await driver.close()
      }),
      { numRuns: 12 },
    )
    expect(forgotten).toBeGreaterThan(0)
  })
})
