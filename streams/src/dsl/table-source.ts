import type { Serde } from '../core/serde.ts'
import type { TableRowsOptions } from '../processor/table-rows.ts'
import { TableSourceProcessor } from '../processor/table-source.ts'
import type { Graph } from './graph.ts'
import type { Materialized } from './materialized.ts'
import { OldValues } from './old-values.ts'
import { Table } from './table.ts'
import { tableStore } from './table-store.ts'

/** A table to be made of a node's records. */
export interface TableSourceOf<K, V> extends Materialized {
  readonly name: string
  readonly parent: string
  readonly keySerde: Serde<NonNullable<K>> | undefined
  readonly valueSerde: Serde<V> | undefined
  /** The name of its store, if it needs one and was given none. */
  readonly generatedStore: string
  readonly hasWatermarks: boolean
}

/** Adds the node that takes records as rows; its store is added when it is named, or once something asks for old values. */
export function addTableSource<K, V>(graph: Graph, of: TableSourceOf<K, V>): Table<K, V> {
  const { name, parent, keySerde, valueSerde, generatedStore, changelog, hasWatermarks } = of
  let rows: TableRowsOptions<K, V> | undefined

  function materialize(store: string): void {
    const own = tableStore<K, V>(graph, { store, keySerde, valueSerde, changelog })
    rows = own.rows
    graph.useStore(name, own.spec)
  }

  const oldValues = new OldValues((force) => {
    if (rows === undefined && force) materialize(generatedStore)
    return rows !== undefined
  })
  graph.addProcessor(
    { name, parents: [parent] },
    () => new TableSourceProcessor<K, V>({ rows, oldValues: oldValues.asked }),
  )
  if (of.store !== undefined) materialize(of.store)
  return new Table<K, V>(graph, name, { keySerde, valueSerde, hasWatermarks, oldValues })
}
