import type { Serde } from '../core/serde.ts'
import type { EmitMode } from '../processor/change.ts'
import type { Fold } from '../processor/fold.ts'
import type { WindowRowsOptions } from '../processor/window-rows.ts'
import type { WindowExpiry } from '../topology/topology.ts'
import type { TimeWindows } from '../windows/time-windows.ts'
import { windowedKey } from '../windows/windowed.ts'
import type { Graph } from './graph.ts'
import type { OldValues } from './old-values.ts'
import type { WindowedTableTraits } from './table.ts'
import type { WindowOptions } from './windowed-stream.ts'

/** A window store to be added. */
export interface WindowStoreOf<K, V, A, R> extends WindowOptions {
  readonly store: string
  readonly windows: TimeWindows
  readonly fold: Fold<V, A, R>
  readonly keySerde: Serde<NonNullable<K>> | undefined
  /** Rows live from their last update on, not from their window's start. */
  readonly byArrival?: boolean
}

/** Adds a window store, and says what its rows are made of. A retention that is too short is a fault. */
export function addWindowStore<K, V, A, R>(graph: Graph, of: WindowStoreOf<K, V, A, R>): WindowRowsOptions<K, V, A, R> {
  const { store, windows, fold } = of
  const keySerde: Serde<K> = graph.serdeOf(of.keySerde, { of: 'key', at: `store "${store}"` })
  const least = windows.sizeMs + windows.graceMs
  const retentionMs = of.retentionMs ?? least
  if (!Number.isSafeInteger(retentionMs) || retentionMs < least)
    graph.fault(
      `store "${store}": retentionMs must be a whole number from size + grace (${least}) on, not ${retentionMs}`,
    )
  graph.addStore({
    name: store,
    kind: 'window',
    timestamped: true,
    windowSizeMs: windows.sizeMs,
    windowAdvanceMs: windows.advanceMs,
    retentionMs,
    expiry: expiryOf(of),
    changelog: of.changelog ?? true,
    rows: { keySerde, resultOf: (value) => fold.result(fold.serde.read(value, 0, value.length)) },
  })
  return { store, keySerde, fold, windows, retentionMs, emit: of.emit ?? 'updates' }
}

function expiryOf({ byArrival, emit }: { readonly byArrival?: boolean; readonly emit?: EmitMode }): WindowExpiry {
  if (byArrival === true) return 'update'
  return emit === 'close' || emit === 'updates-and-close' ? 'start-after-close' : 'start'
}

/** What is known of the table that a windowed aggregation makes. */
export function windowedTraits<K, R>(
  of: {
    readonly keySerde: Serde<NonNullable<K>> | undefined
    readonly windows: TimeWindows
    readonly hasWatermarks: boolean
    readonly oldValues: OldValues
  },
  valueSerde: Serde<R> | undefined,
): WindowedTableTraits<K, R> {
  const { keySerde, windows, hasWatermarks, oldValues } = of
  return { keySerde: keySerde && windowedKey(keySerde, windows), windows, valueSerde, hasWatermarks, oldValues }
}
