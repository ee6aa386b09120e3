import type { TaskStore } from '../state/store.ts'
import { timestampOfRow, valueOfRow } from '../state/timestamped-value.ts'
import { keyOfWindowRow, windowStartOfRow } from '../state/window-key.ts'
import type { StoreSpec } from '../topology/topology.ts'

/** A decoded row of a store. */
export interface StoreRow {
  readonly partition: number
  readonly key: unknown
  /** Undefined in stores without windows. */
  readonly windowStartMs: number | undefined
  readonly value: unknown
  readonly timestamp: number
}

/** Behind every key that a test may have. */
const lastKey = Buffer.alloc(1_024, 0xff)

/** All rows of a store of one task, in the store's order. */
export async function rowsOf(spec: StoreSpec, store: TaskStore, partition: number): Promise<readonly StoreRow[]> {
  const { rows: reader } = spec
  if (reader === undefined) throw new RangeError(`nobody can read the rows of the store "${spec.name}"`)
  const rows: StoreRow[] = []
  for await (const row of store.range(Buffer.alloc(0), lastKey)) {
    const isWindow = spec.kind === 'window'
    const key = isWindow ? keyOfWindowRow(row.key) : row.key
    rows.push({
      partition,
      key: reader.keySerde.read(key, 0, key.length),
      windowStartMs: isWindow ? windowStartOfRow(row.key) : undefined,
      value: reader.resultOf(spec.timestamped ? valueOfRow(row.value) : row.value),
      timestamp: spec.timestamped ? timestampOfRow(row.value) : -1,
    })
  }
  return rows
}
