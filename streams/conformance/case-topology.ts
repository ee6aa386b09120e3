import {
  Grouped,
  GroupedTable,
  hoppingWindows,
  Stream,
  StreamsBuilder,
  StreamsError,
  Table,
  type TimeWindows,
  type Topology,
  tumblingWindows,
  untilTimeLimit,
  untilWindowCloses,
  type WindowedStream,
  WindowedTable,
} from '@millrace/streams'
import { aggregatorOf, reducerOf, subtractorOf } from './aggregation.ts'
import { CaseError } from './case-error.ts'
import type { CaseConfig } from './case-format.ts'
import { type CaseKey, caseKey, caseValue, outputKey, plainKey, presentValue } from './case-serdes.ts'
import { condition, expression, keyExpression, type Scope, scopeOf } from './expression.ts'
import type { Fields } from './fields.ts'
import { isArray, type Json } from './json.ts'

/** A case's topology, and what its results are read from. */
export interface CaseTopology {
  readonly topology: Topology
  /** The topics it writes to. */
  readonly outputs: readonly string[]
  /** The named stores; those of windows with the windows' size. */
  readonly stores: ReadonlyMap<string, { readonly windowSizeMs: number | undefined }>
}

/** Builds a case's topology with the library. Throws what the library throws when it rejects the topology, and `CaseError`. */
export function buildCase(nodes: readonly Fields[], config: CaseConfig): CaseTopology {
  const building = new CaseBuilding(config)
  for (const node of nodes) building.add(node)
  const { outputs, stores } = building
  return { topology: building.build(), outputs: [...outputs], stores }
}

type CaseStream = Stream<CaseKey | null, Json>
type CaseTable = Table<CaseKey, Json>

/** A windowed stream with what its aggregation needs to be told. */
interface WindowedPart {
  readonly stream: WindowedStream<CaseKey, Json>
  readonly windows: TimeWindows
  readonly isEmittedOnClose: boolean
}

type Part = CaseStream | CaseTable | Grouped<CaseKey, Json> | GroupedTable<CaseKey, NonNullable<Json>> | WindowedPart

class CaseBuilding {
  readonly outputs = new Set<string>()
  readonly stores = new Map<string, { readonly windowSizeMs: number | undefined }>()
  readonly #builder = new StreamsBuilder()
  readonly #config: CaseConfig
  readonly #parts = new Map<string, Part>()

  constructor(config: CaseConfig) {
    this.#config = config
  }

  build(): Topology {
    return this.#builder.build()
  }

  add(node: Fields): void {
    const op = node.text('op')
    if (op === 'split') this.#split(node)
    else if (op === 'to') this.#to(node)
    else this.#parts.set(node.text('id'), this.#partOf(op, node))
  }

  #partOf(op: string, node: Fields): Part {
    switch (op) {
      case 'stream':
        return this.#builder.stream(node.text('topic'), { key: caseKey, value: caseValue })
      case 'table':
        return this.#builder.table(node.text('topic'), { key: caseKey, value: caseValue, ...this.#store(node) })
      case 'filter':
        return this.#filter(node, condition(node.json('where')))
      case 'filterNot': {
        const where = condition(node.json('where'))
        return this.#filter(node, (scope) => !where(scope))
      }
      case 'mapValues':
        return this.#mapValues(node)
      case 'map':
      case 'selectKey':
      case 'flatMap':
      case 'flatMapValues':
        return changed(op, this.#stream(node), node)
      case 'merge':
        return this.#merge(node)
      case 'repartition':
        return this.#stream(node).repartition({ key: caseKey, value: caseValue })
      case 'groupByKey':
        return this.#stream(node).groupByKey({ key: caseKey, value: caseValue })
      case 'groupBy':
        return this.#groupBy(node)
      case 'windowedBy':
        return this.#windowedBy(node)
      case 'count':
      case 'reduce':
      case 'aggregate':
        return this.#aggregated(op, node)
      case 'suppress':
        return this.#suppress(node)
      case 'toTable':
        return this.#stream(node).toTable({ key: caseKey, value: caseValue, ...this.#store(node) })
      case 'toStream':
        return this.#table(node).toStream()
      default:
        throw new CaseError(`${node.where}: the operator "${op}" is not known`)
    }
  }

  #filter(node: Fields, where: (scope: Scope) => boolean): Part {
    const from = this.#from(node)
    const accepts = (value: Json, key: CaseKey | null) => where(scopeOf(plainKey(key), value))
    if (from instanceof Stream) return from.filter(accepts)
    return this.#table(node).filter(accepts, { value: caseValue, ...this.#store(node) })
  }

  #mapValues(node: Fields): Part {
    const from = this.#from(node)
    const value = expression(node.json('value'))
    const toValue = (known: Json, key: CaseKey | null) => value(scopeOf(plainKey(key), known))
    if (from instanceof Stream) return from.mapValues(toValue)
    return this.#table(node).mapValues(toValue, { value: caseValue, ...this.#store(node) })
  }

  #merge(node: Fields): Part {
    const [first, ...others] = node.texts('from').map((id) => this.#streamOf(this.#part(id, node), node))
    if (first === undefined) throw new CaseError(`${node.where}: a merge needs a stream`)
    return others.reduce((merged, other) => merged.merge(other), first)
  }

  #split(node: Fields): void {
    const branches = node.objects('branches')
    const conditions = branches.map((branch) => condition(branch.json('where')))
    const accepts = conditions.map(
      (where) => (value: Json, key: CaseKey | null) => where(scopeOf(plainKey(key), value)),
    )
    const ids = branches.map((branch) => branch.text('id'))
    const rest = node.optionalText('default')
    if (rest !== undefined) {
      ids.push(rest)
      accepts.push(() => true)
    }
    const streams = this.#stream(node).split(...accepts)
    for (const [i, stream] of streams.entries()) this.#parts.set(ids[i] ?? '', stream)
  }

  #to(node: Fields): void {
    const topic = node.text('topic')
    this.outputs.add(topic)
    this.#stream(node).to(topic, { key: outputKey, value: presentValue })
  }

  #groupBy(node: Fields): Part {
    const from = this.#from(node)
    const keyOf = keyExpression(node.json('key'))
    if (from instanceof Stream)
      return from.groupBy((value, key): CaseKey | null => keyOf(scopeOf(plainKey(key), value)), {
        key: caseKey,
        value: caseValue,
      })
    const toValue = expression(node.json('value'))
    return this.#table(node).groupBy(
      (value, key): { key: CaseKey | null; value: Json } => {
        const scope = scopeOf(plainKey(key), value)
        return { key: keyOf(scope), value: toValue(scope) }
      },
      { key: caseKey, value: presentValue },
    )
  }

  #windowedBy(node: Fields): Part {
    const grouped = this.#from(node)
    if (!(grouped instanceof Grouped)) throw new CaseError(`${node.where}: only a grouped stream has windows`)
    const windows = windowsOf(node.fields('window'))
    return { stream: grouped.windowedBy(windows), windows, isEmittedOnClose: node.optionalText('emit') === 'close' }
  }

  #aggregated(op: 'count' | 'reduce' | 'aggregate', node: Fields): Part {
    const from = this.#from(node)
    const emit = this.#config.cacheBytes > 0 ? 'updates' : 'every-update'
    if (from instanceof Grouped) {
      const options = { ...this.#store(node), emit } as const
      if (op === 'count') return asCaseTable(from.count(options))
      if (op === 'aggregate') return from.aggregate(aggregatorOf(node.object('agg')), options)
      return from.reduce(reducerOf(node.json('fn')), { ...options, value: caseValue })
    }
    if (from instanceof GroupedTable) {
      const options = { ...this.#store(node), emit } as const
      if (op === 'count') return asCaseTable(from.count(options))
      if (op === 'aggregate') return from.aggregate(aggregatorOf(node.object('agg')), options)
      return from.reduce(
        { add: present(reducerOf(node.json('fn'))), subtract: present(subtractorOf(node.json('fn'))) },
        options,
      )
    }
    if (!('isEmittedOnClose' in from)) throw new CaseError(`${node.where}: only what is grouped is aggregated`)
    return this.#aggregatedWindows(op, node, from)
  }

  #aggregatedWindows(op: 'count' | 'reduce' | 'aggregate', node: Fields, from: WindowedPart): CaseTable {
    const { stream, windows, isEmittedOnClose } = from
    const updates = this.#config.cacheBytes > 0 ? 'updates' : 'every-update'
    const retentionMs = node.optionalNumber('retention')
    const options = {
      ...this.#store(node, windows.sizeMs),
      emit: isEmittedOnClose ? 'close' : updates,
      emitIntervalMs: this.#config.emitIntervalMs,
      ...(retentionMs === undefined ? {} : { retentionMs }),
    } as const
    if (op === 'count') return asCaseTable(stream.count(options))
    if (op === 'aggregate') return stream.aggregate(aggregatorOf(node.object('agg')), options)
    return stream.reduce(reducerOf(node.json('fn')), { ...options, value: caseValue })
  }

  #suppress(node: Fields): Part {
    const table = this.#table(node)
    const recordsMax = node.optionalNumber('maxRecords')
    const bounds = recordsMax === undefined ? {} : { recordsMax }
    if (node.text('until') === 'timeLimit') {
      const whenFull = node.optionalText('full') === 'shutDown' ? 'shut-down' : 'emit-early'
      return table.suppress(untilTimeLimit({ limitMs: node.number('ms'), whenFull, ...bounds }), { value: caseValue })
    }
    // The types of the library reject it.
    if (!(table instanceof WindowedTable))
      throw new StreamsError('INVALID_TOPOLOGY', `${node.where}: only windows close`)
    return table.suppress(untilWindowCloses(bounds), { value: caseValue })
  }

  /** The node's store, if it names one. */
  #store(node: Fields, windowSizeMs?: number): { readonly store?: string } {
    const store = node.optionalText('store')
    if (store === undefined) return {}
    this.stores.set(store, { windowSizeMs })
    return { store }
  }

  #from(node: Fields): Part {
    return this.#part(node.text('from'), node)
  }

  #part(id: string, node: Fields): Part {
    const part = this.#parts.get(id)
    if (part === undefined) throw new CaseError(`${node.where}: there is no node "${id}" before it`)
    return part
  }

  #stream(node: Fields): CaseStream {
    return this.#streamOf(this.#from(node), node)
  }

  #streamOf(part: Part, node: Fields): CaseStream {
    if (!(part instanceof Stream)) throw new CaseError(`${node.where}: it must follow a stream`)
    return part
  }

  #table(node: Fields): CaseTable {
    const part = this.#from(node)
    if (!(part instanceof Table)) throw new CaseError(`${node.where}: it must follow a table`)
    return part
  }
}

/** A stream with other keys, or another number of records. */
function changed(op: 'map' | 'selectKey' | 'flatMap' | 'flatMapValues', stream: CaseStream, node: Fields): CaseStream {
  if (op === 'flatMapValues') {
    const items = expression(node.json('items'))
    return stream.flatMapValues((value, key) => itemsOf(items(scopeOf(plainKey(key), value))))
  }
  const keyOf = keyExpression(node.json('key'))
  if (op === 'selectKey') return stream.selectKey((value, key): CaseKey | null => keyOf(scopeOf(plainKey(key), value)))
  const toValue = expression(node.json('value'))
  if (op === 'map')
    return stream.map((value, key): { key: CaseKey | null; value: Json } => {
      const scope = scopeOf(plainKey(key), value)
      return { key: keyOf(scope), value: toValue(scope) }
    })
  const items = expression(node.json('items'))
  return stream.flatMap((value, key) =>
    itemsOf(items(scopeOf(plainKey(key), value))).map((item): { key: CaseKey | null; value: Json } => {
      const scope = scopeOf(plainKey(key), value, item)
      return { key: keyOf(scope), value: toValue(scope) }
    }),
  )
}

/** Neither row nor value of a table is null, and so no reducer gives null. */
function present(
  reduce: (row: Json, value: Json) => Json,
): (row: NonNullable<Json>, value: NonNullable<Json>) => NonNullable<Json> {
  return (row, value) => reduce(row, value) as NonNullable<Json>
}

/** Counts are numbers, and so JSON: from here on the table is only read. */
function asCaseTable(counts: Table<CaseKey, number> | Table<CaseKey, number | null>): CaseTable {
  return counts as CaseTable
}

function itemsOf(value: Json): readonly Json[] {
  return isArray(value) ? value : []
}

function windowsOf(window: Fields): TimeWindows {
  const type = window.text('type')
  const sizeMs = window.number('size')
  const graceMs = window.number('grace')
  if (type === 'tumbling') return tumblingWindows({ sizeMs, graceMs })
  if (type === 'hopping') return hoppingWindows({ sizeMs, advanceMs: window.number('advance'), graceMs })
  throw new CaseError(`${window.where}: windows of type "${type}" are not known`)
}
