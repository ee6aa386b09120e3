import { createCodec, type Event } from '@millrace/schemas'
import {
  type Aggregator,
  internedUtf8,
  type MergeableAggregator,
  type Serde,
  StreamsBuilder,
  type Topology,
  tumblingWindows,
  utf8,
  type Windowed,
  type WindowedTable,
} from '@millrace/streams'
import { windowSizeMs } from './event-shape.ts'
import { eventSchemaId } from './input-topic.ts'
import { type PickedEvent, pickedEvents } from './picked-event.ts'

/** A window takes records for this long after its end: longer than any input spans, so that on neither side a record can be late. */
export const graceMs = 600_000

/** How long rows are kept, on both sides. */
export const retentionMs = 86_400_000

/** The store of every job, after which its changelog and repartition topics are called, as on the JVM's side. */
export const storeName = 'windows'

/** Which topics a program reads and writes. */
export interface Topics {
  readonly input: string
  readonly output: string
}

/** Count and sum of `value`: what an average is made of. */
export interface Mean {
  count: number
  sum: number
}

/** int64 count, float64 sum, both big endian: the bytes that the JVM's side writes. */
const meanSerde: Serde<Mean> = {
  read: (bytes, start) => ({
    count: bytes.readUInt32BE(start) * 2 ** 32 + bytes.readUInt32BE(start + 4),
    sum: bytes.readDoubleBE(start + 8),
  }),
  write({ count, sum }) {
    const bytes = Buffer.allocUnsafe(16)
    bytes.writeUInt32BE(Math.floor(count / 2 ** 32), 0)
    bytes.writeUInt32BE(count % 2 ** 32, 4)
    bytes.writeDoubleBE(sum, 8)
    return bytes
  },
}

const meanOfValues: MergeableAggregator<PickedEvent, Mean, Mean> = {
  name: 'mean-of-values',
  version: 1,
  init: () => ({ count: 0, sum: 0 }),
  add(row, { value }) {
    row.count++
    row.sum += value ?? 0
    return row
  },
  merge(left, right) {
    left.count += right.count
    left.sum += right.sum
    return left
  },
  result: ({ count, sum }) => ({ count, sum }),
  serde: meanSerde,
}

const windows = tumblingWindows({ sizeMs: windowSizeMs, graceMs })

/** By event type, the way the library recommends: only the fields that are used, pre-aggregated before the repartition. */
export function byType({ input, output }: Topics): Topology {
  const builder = new StreamsBuilder()
  const table = builder
    .stream(input, { key: utf8, value: pickedEvents() })
    .groupBy((event) => event.event_type, { key: internedUtf8() })
    .preAggregate({ name: storeName, windowSizeMs, aggregator: meanOfValues })
    .windowedBy(windows)
    .merge({ store: storeName, retentionMs })
  write(table, output)
  return builder.build()
}

/** By user, which the input is keyed by already: no repartition. */
export function byUser({ input, output }: Topics): Topology {
  const builder = new StreamsBuilder()
  const table = builder
    .stream(input, { key: utf8, value: pickedEvents() })
    .groupByKey()
    .windowedBy(windows)
    .aggregate(meanOfValues, { store: storeName, retentionMs })
  write(table, output)
  return builder.build()
}

interface Measure {
  readonly type: string
  readonly value: number
}

/** float64 big endian and the type: what the JVM's side puts into its repartition topic. */
const measures: Serde<Measure> = {
  read: (bytes, start, end) => ({ value: bytes.readDoubleBE(start), type: bytes.toString('utf8', start + 8, end) }),
  write({ type, value }) {
    const bytes = Buffer.allocUnsafe(8 + Buffer.byteLength(type))
    bytes.writeDoubleBE(value, 0)
    bytes.write(type, 8)
    return bytes
  },
}

/** Nothing that could be merged, nothing that is changed in place: as one who knows none of the library's fast ways would write it. */
const plainMean: Aggregator<Measure, Mean, Mean> = {
  name: 'plain-mean',
  version: 1,
  init: () => ({ count: 0, sum: 0 }),
  add: (row, measure) => ({ count: row.count + 1, sum: row.sum + measure.value }),
  result: (row) => row,
  serde: meanSerde,
}

/** By event type again, on whole decoded events and with functions of the user's own: every record goes through the repartition topic. */
export function general({ input, output }: Topics): Topology {
  const codec = createCodec('event', eventSchemaId)
  const events: Serde<Event> = {
    read: (bytes, start, end) => codec.decode(bytes.subarray(start, end)),
    write: (event) => codec.encode(event),
  }
  const builder = new StreamsBuilder()
  const table = builder
    .stream(input, { key: utf8, value: events })
    .filter((event) => event.event_type !== '')
    .mapValues<Measure>((event) => ({ type: event.event_type, value: event.value ?? 0 }))
    .groupBy((measure) => measure.type, { key: utf8, value: measures })
    .windowedBy(windows)
    .aggregate(plainMean, { store: storeName, retentionMs })
  write(table, output)
  return builder.build()
}

function write(table: WindowedTable<string, Mean>, output: string): void {
  table
    .toStream()
    .map((mean, { key, startMs }: Windowed<string>) => ({ key: `${key}@${startMs}`, value: mean }))
    .to(output, { key: utf8, value: meanSerde })
}

/** How many events of each input partition a window has counted: tells exactly which events a result knows of. */
export type PartitionCounts = Uint32Array

/** uint32 little endian, one per input partition. */
export const partitionCountsSerde: Serde<PartitionCounts> = {
  read(bytes, start, end) {
    const counts = new Uint32Array((end - start) / 4)
    for (let i = 0; i < counts.length; i++) counts[i] = bytes.readUInt32LE(start + 4 * i)
    return counts
  },
  write(counts) {
    const bytes = Buffer.allocUnsafe(counts.length * 4)
    for (let i = 0; i < counts.length; i++) bytes.writeUInt32LE(counts[i] ?? 0, 4 * i)
    return bytes
  },
}

/** The job by event type, counting per input partition, which the events of the latency bench carry as their value. */
export function arrivals({ input, output }: Topics, partitions: number): Topology {
  const aggregator: MergeableAggregator<PickedEvent, PartitionCounts, PartitionCounts> = {
    name: 'arrivals',
    version: 1,
    init: () => new Uint32Array(partitions),
    add(counts, { value }) {
      const partition = value ?? 0
      counts[partition] = (counts[partition] ?? 0) + 1
      return counts
    },
    merge(left, right) {
      for (let i = 0; i < left.length; i++) left[i] = (left[i] ?? 0) + (right[i] ?? 0)
      return left
    },
    result: (counts) => counts.slice(),
    serde: partitionCountsSerde,
  }
  const builder = new StreamsBuilder()
  builder
    .stream(input, { key: utf8, value: pickedEvents() })
    .groupBy((event) => event.event_type, { key: internedUtf8() })
    .preAggregate({ name: storeName, windowSizeMs, aggregator })
    .windowedBy(windows)
    .merge({ store: storeName, retentionMs })
    .toStream()
    .map((counts, { key, startMs }: Windowed<string>) => ({ key: `${key}@${startMs}`, value: counts }))
    .to(output, { key: utf8, value: partitionCountsSerde })
  return builder.build()
}
