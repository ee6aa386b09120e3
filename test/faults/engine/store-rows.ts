import { partitionOfKey, storeNames } from '@millrace/streams'
import { openRocksDbStores } from '@millrace/streams/rocksdb'
import type { CheckResult } from './checks.ts'
import type { WindowTable } from './event-source.ts'
import type { InstanceProcess } from './instance-process.ts'
import { graceMs, partitions, windowSizeMs } from './limits.ts'
import { faultTopology, type Totals, totals } from './topology.ts'

/** A row of a window store. */
interface StoredWindow {
  readonly window: string
  readonly totals: Totals
}

const rowsMax = 1_000_000
/*
 * A row of a timestamped window store: the key is int64 start · record key · int32 sequence number, the value int64 timestamp · accumulator.
 */
const startBytes = 8
const sequenceBytes = 4
const timestampBytes = 8

/**
 * Every window store holds, at the member that has its number, what SQL says: all windows that are not over, and nothing that is wrong. The
 * instances have closed.
 */
export async function checkStores(
  instances: readonly InstanceProcess[],
  expected: WindowTable,
  streamTimeMs: number,
): Promise<CheckResult> {
  const broken: string[] = []
  const names = storeNames(faultTopology())
  const found = new Map(names.map((name) => [name, new Set<string>()]))
  const owners = new Set<number>()
  let rows = 0
  for (const { name, numbers, settings } of instances) {
    const provider = await openRocksDbStores({ directory: settings.stateDirectory, stores: names })
    for (const number of numbers) {
      owners.add(number)
      for (const store of names) {
        for (const { window, totals } of await storedWindows(provider, store, number)) {
          rows++
          const right = expected.get(window)
          if (totals.count !== right?.count || totals.sum !== right.sum) {
            broken.push(
              `${store} of ${number} at ${name}: ${window} has count ${totals.count} sum ${totals.sum}, SQL count ${right?.count} sum ${right?.sum}`,
            )
          }
          const home = partitionOfKey(Buffer.from(window.slice(0, window.lastIndexOf('@'))), partitions)
          if (home !== number) broken.push(`${store} of ${number} at ${name}: ${window} belongs to ${home}`)
          found.get(store)?.add(window)
        }
      }
    }
    await provider.close()
  }
  if (owners.size !== partitions) broken.push(`${owners.size} of ${partitions} numbers have an owner`)
  for (const window of expected.keys()) {
    const startMs = Number(window.slice(window.lastIndexOf('@') + 1))
    if (startMs + windowSizeMs + graceMs <= streamTimeMs) continue
    for (const store of names) if (!found.get(store)?.has(window)) broken.push(`${store}: ${window} is missing`)
  }
  return { title: 'the stores hold what SQL says', looked: `${rows} rows in ${names.length} stores`, broken }
}

async function storedWindows(
  provider: Awaited<ReturnType<typeof openRocksDbStores>>,
  name: string,
  partition: number,
): Promise<readonly StoredWindow[]> {
  const store = await provider.open(name, partition)
  const all = await store.range(Buffer.alloc(0), Buffer.alloc(startBytes, 0xff), rowsMax)
  await store.close()
  return all.map(({ key, value }) => {
    const type = key.toString('utf8', startBytes, key.length - sequenceBytes)
    const accumulator = totals.serde.read(value, timestampBytes, value.length)
    return { window: `${type}@${key.readBigInt64BE(0)}`, totals: totals.result(accumulator) }
  })
}
