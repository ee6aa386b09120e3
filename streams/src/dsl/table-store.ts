import { nullable, type Serde } from '../core/serde.ts'
import type { TableRowsOptions } from '../processor/table-rows.ts'
import type { StoreSpec } from '../topology/topology.ts'
import type { Graph } from './graph.ts'

/** A table's own store, to be added when the table turns out to need it. */
export interface TableStoreOf<K, V> {
  readonly store: string
  readonly keySerde: Serde<NonNullable<K>> | undefined
  readonly valueSerde: Serde<V> | undefined
  readonly changelog: boolean | undefined
}

/** A store with the rows of a table as they are, and what its processor is told of it. Serdes that are not known are faults. */
export function tableStore<K, V>(
  graph: Graph,
  of: TableStoreOf<K, V>,
): { readonly spec: StoreSpec; readonly rows: TableRowsOptions<K, V> } {
  const { store, changelog = true } = of
  const at = `store "${store}"`
  const keySerde: Serde<K> = graph.serdeOf(of.keySerde, { of: 'key', at })
  const valueSerde = graph.serdeOf(of.valueSerde, { of: 'value', at })
  const spec: StoreSpec = {
    name: store,
    kind: 'key-value',
    timestamped: true,
    windowSizeMs: undefined,
    retentionMs: undefined,
    changelog,
    rows: { keySerde, resultOf: (value) => valueSerde.read(value, 0, value.length) },
  }
  return { spec, rows: { store, keySerde, valueSerde } }
}

/** The serde of rows that may be deleted. */
export function rowSerde<V>(serde: Serde<V> | undefined): Serde<V | null> | undefined {
  return serde && nullable(serde)
}
